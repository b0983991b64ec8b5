"""Everything that `crossan up` runs: which processes, at which address, with which first key."""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cli.options import KEY_FILE
from app.cli.supervisor import ChildSpec
from app.core.config import Settings
from app.core.types import Scope
from app.embedded.services import Endpoints, write_private
from crossan.client import ClientError

DEFAULT_PROJECT = "default"
TRANSFER_POOL = ("threads", "--concurrency", "4")
"""Transfers wait for networks and disks: several of them share a process."""


@dataclass(frozen=True)
class Address:
    """The listening socket, which every API process shares, and its URL."""

    listener: socket.socket
    url: str


def bind(host: str, port: int) -> Address:
    """Take the port before anything else starts; 0 takes a free one.

    Raises:
        ClientError: Someone else has it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ClientError(
            f"Port {port} of {host} can't be used ({error.strerror}); choose another with --port."
        ) from error
    listener.listen(2048)
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return Address(listener, f"http://{name}:{listener.getsockname()[1]}")


def child_environment(settings: Settings, endpoints: Endpoints) -> dict[str, str]:
    """What every process of the service is told."""
    return {
        "CROSSAN_DATA_DIR": str(settings.data_dir),
        "CROSSAN_DATABASE_URL": endpoints.database_url,
        "CROSSAN_REDIS_URL": endpoints.redis_url,
    }


def children(settings: Settings, endpoints: Endpoints, *, address: Address, api_processes: int) -> list[ChildSpec]:
    """The API, a worker for short jobs, one for training, one for transfers, one that revives the dead, the beat."""
    environment = child_environment(settings, endpoints)
    python = sys.executable
    fd = address.listener.fileno()
    api = [python, "-m", "app.cli.serve", str(fd)]
    celery = [python, "-m", "celery", "-A", "worker.celery_app"]
    names = ["api"] if api_processes == 1 else [f"api-{number}" for number in range(1, api_processes + 1)]
    return [
        *(ChildSpec(name, api, environment, (fd,)) for name in names),
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
