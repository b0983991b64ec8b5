"""A service that takes things in: durable stores, an API process on a core of its own, and a key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.core.config import Settings
from app.core.types import ProjectId
from app.db.migrate import upgrade
from app.embedded.services import bundled_services
from bench.serve.cores import Cores, running_on
from bench.serve.server import Place, Server, running_module
from bench.serve.world import project_with_key

PRODUCT = ("app.cli.serve",)


@dataclass(frozen=True)
class IngestWorld:
    """What runs, and who may write."""

    settings: Settings
    server: Server
    project: ProjectId
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """Of a request."""
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def running_ingest(folder: Path, cores: Cores) -> Iterator[IngestWorld]:
    """Everything on new folders below `folder`; stores that survive a power cut, as in use."""
    with running_on(cores.others), bundled_services(folder, durable=True) as endpoints:
        settings = Settings(
            data_dir=folder / "data", database_url=endpoints.database_url, redis_url=endpoints.redis_url
        )
        upgrade(settings.database)
        project, key = project_with_key(settings)
        environment = {
            "CROSSAN_DATA_DIR": str(settings.data_dir),
            "CROSSAN_DATABASE_URL": str(settings.database_url),
            "CROSSAN_REDIS_URL": str(settings.redis_url),
        }
        place = Place(cores.server, folder / "server.log", environment)
        with running_module(PRODUCT, place, ready="/health/ready") as server:
            yield IngestWorld(settings, server, project, key)
