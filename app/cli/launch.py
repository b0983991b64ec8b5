"""Everything that `crossan up` runs: which processes, at which address, with which first key."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.cli.listening import Address
from app.cli.options import KEY_FILE
from app.cli.supervisor import ChildSpec
from app.core.config import Settings
from app.core.types import Scope
from app.embedded.services import Endpoints, write_private
from app.telemetry.metrics import METRICS_FOLDER

DEFAULT_PROJECT = "default"
TRANSFER_POOL = ("threads", "--concurrency", "4")
"""Transfers wait for networks and disks: several of them share a process."""


def child_environment(settings: Settings, endpoints: Endpoints) -> dict[str, str]:
    """What every process of the service is told."""
    return {
        "CROSSAN_DATA_DIR": str(settings.data_dir),
        "CROSSAN_DATABASE_URL": endpoints.database_url,
        "CROSSAN_REDIS_URL": endpoints.redis_url,
    }


@contextmanager
def api_children(settings: Settings, environment: Mapping[str, str], address: Address) -> Iterator[list[ChildSpec]]:
    """The API processes; several count what they do in files of a folder of this context, and each shows the sums."""
    fd = address.listener.fileno()
    command = [sys.executable, "-m", "app.cli.serve"]
    if settings.api_processes == 1:
        yield [ChildSpec("api", [*command, str(fd)], environment, (fd,))]
        return
    host, port = address.listener.getsockname()[:2]
    names = [f"api-{number}" for number in range(1, settings.api_processes + 1)]
    with tempfile.TemporaryDirectory(prefix="crossan-metrics-") as folder:
        counting = {**environment, METRICS_FOLDER: folder}
        yield [ChildSpec(name, [*command, f"{host}:{port}"], counting) for name in names]


def other_children(environment: Mapping[str, str]) -> list[ChildSpec]:
    """A worker for short jobs, one for training, one for transfers, one that revives the dead, the beat."""
    celery = [sys.executable, "-m", "celery", "-A", "worker.celery_app"]
    return [
        ChildSpec("worker-encode", _worker(celery, "encode", "encode,index,query"), environment),
        ChildSpec("worker-train", _worker(celery, "train", "train"), environment),
        ChildSpec("worker-transfer", _worker(celery, "transfer", "transfer", pool=TRANSFER_POOL), environment),
        ChildSpec("worker-sweep", _worker(celery, "sweep", "sweep", level="WARNING"), environment),
        ChildSpec("beat", [*celery, "beat", "--loglevel", "WARNING"], environment),
    ]


def _worker(
    celery: Sequence[str], name: str, queues: str, *, level: str = "INFO", pool: Sequence[str] = ("solo",)
) -> list[str]:
    options = ["-Q", queues, "--pool", *pool, "-n", f"{name}@%h", "--without-gossip", "--without-mingle"]
    return [*celery, "worker", *options, "--loglevel", level]


def create_key(settings: Settings, *, project: str, name: str, scopes: Sequence[str]) -> dict[str, object]:
    """Make a key directly in the database, and its project if that is new; only the result has the secret."""
    from app.db.session import Database
    from app.projects.service import ProjectService

    database = Database(settings.database, pool_size=1)
    try:
        with database.transaction() as transaction:
            service = ProjectService(transaction)
            key = service.create_key(service.ensure_project(project), name=name, scopes=scopes)
    finally:
        database.close()
    return {**key.model_dump(mode="json"), "project": project}


def ensure_key(settings: Settings) -> str:
    """The key of the data folder; made, with every scope, if there is none that the database knows."""
    from app.db.session import Database
    from app.projects.service import ProjectService

    path: Path = settings.data_dir / KEY_FILE
    if path.is_file():
        database = Database(settings.database, pool_size=1)
        try:
            with database.transaction() as transaction:
                if ProjectService(transaction).authenticate(path.read_text().strip()):
                    return path.read_text().strip()
        finally:
            database.close()
    made = create_key(settings, project=DEFAULT_PROJECT, name="crossan up", scopes=[scope.value for scope in Scope])
    write_private(path, f"{made['key']}\n")
    return str(made["key"])
