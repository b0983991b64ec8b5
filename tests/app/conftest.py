"""Services that cost little: encoders that only count, and a live model that is trained once a session."""

import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import Settings
from app.embedded.services import Endpoints
from tests.conftest import TEMPLATE, _execute, _named
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import SMALL, ReplayTrainer, Template, fill, settings_of


@pytest.fixture
def fakes() -> dict[str, FakeEncoder]:
    """Counting encoders of texts and images."""
    return {modality: FakeEncoder(modality) for modality in ("text", "image")}


def _settings(data_dir: Path, database_url: str, redis_url: str, fakes: dict[str, FakeEncoder]) -> Settings:
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        redis_url=redis_url,
        encoders=tuple(fake.spec for fake in fakes.values()),
        key_cache_s=0.0,
        trending_refresh_s=0.0,
        heartbeat_s=0.1,
        warm_up_s=0.0,
        metrics_cache_s=0.0,
        database_pool=4,
        log_level="WARNING",
    )


@pytest.fixture
def light_settings(tmp_path: Path, database_url: str, redis_url: str, fakes: dict[str, FakeEncoder]) -> Settings:
    """Settings of a service with the counting encoders."""
    return _settings(tmp_path / "data", database_url, redis_url, fakes)


@pytest.fixture
def light(light_settings: Settings, fakes: dict[str, FakeEncoder]) -> Iterator[Service]:
    """A whole service whose encoders are the counting ones."""
    with running_service(light_settings, fakes) as running:
        yield running


@pytest.fixture(scope="session")
def template(services: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The one real training of the session: a filled service with v1 live."""
    if services.database_url not in _TEMPLATES:
        _TEMPLATES[services.database_url] = _train(services, tmp_path_factory.mktemp("trained"))
    return _TEMPLATES[services.database_url]


_TEMPLATES: dict[str, Template] = {}
"""By the address of the database: other conftest files may import the fixture, and still share the training."""


def _train(services: Endpoints, data_dir: Path) -> Template:
    name = f"trained_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    fakes = {modality: FakeEncoder(modality) for modality in ("text", "image")}
    with running_service(_settings(data_dir, _named(services, name), services.redis_url, fakes), fakes) as service:
        fill(service)
        service.run_jobs()
        training = service.train(hyperparameters=SMALL)
        assert training["state"] == "succeeded", training["error"]
        artifact = service.parts.artifacts.path(f"{service.project}/{training['id']}")
    return Template(name, data_dir, artifact)


@pytest.fixture
def trained_settings(
    template: Template, services: Endpoints, redis_url: str, tmp_path: Path, fakes: dict[str, FakeEncoder]
) -> Iterator[Settings]:
    """Settings of a copy of the trained service."""
    name = f"test_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE {template.database}")
    base = _settings(tmp_path / "data", _named(services, name), redis_url, fakes)
    yield settings_of(template, base, tmp_path / "data")
    _execute(services, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def trained(trained_settings: Settings, fakes: dict[str, FakeEncoder], template: Template) -> Iterator[Service]:
    """A copy of the trained service; what it trains from now on is a replay of v1, in no time."""
    with running_service(trained_settings, fakes) as running:
        running.parts = dataclasses.replace(running.parts, trainer=ReplayTrainer(template.artifact))
        yield running


@pytest.fixture(scope="module")
def shared(services: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for the tests of one module that do not mind each other; the cache is not emptied."""
    name = f"shared_{uuid.uuid4().hex}"
    _execute(services, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    fakes = {modality: FakeEncoder(modality) for modality in ("text", "image")}
    settings = _settings(tmp_path_factory.mktemp("shared"), _named(services, name), services.redis_url, fakes)
    with running_service(settings, fakes) as running:
        yield running
    _execute(services, f"DROP DATABASE {name} WITH (FORCE)")
