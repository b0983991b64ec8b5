"""The worker's modules as a worker process has them: settings from the environment, read on import."""

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from app.core.config import Settings
from tests.app.conftest import fakes, light, light_settings, template, trained, trained_settings  # noqa: F401


def _set_environment(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setenv("CROSSAN_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("CROSSAN_DATABASE_URL", str(settings.database_url))
    monkeypatch.setenv("CROSSAN_REDIS_URL", str(settings.redis_url))
    monkeypatch.setenv("CROSSAN_ENCODERS", json.dumps([spec.to_dict() for spec in settings.encoders or ()]))
    monkeypatch.setenv("CROSSAN_HEARTBEAT_S", "0.1")
    monkeypatch.setenv("CROSSAN_LOG_LEVEL", "WARNING")


@pytest.fixture
def worker_settings(light_settings: Settings) -> Settings:  # noqa: F811
    """Which service the worker works for."""
    return light_settings


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, worker_settings: Settings) -> Iterator[ModuleType]:
    """`worker.context` of a fresh process."""
    _set_environment(monkeypatch, worker_settings)
    from worker import celery_app, context
    from worker.tasks import estimates, items, maintenance, queries, training, transfers, webhooks  # noqa: F401

    celery_app.configure(worker_settings)
    context.worker_context.cache_clear()
    yield context
    context.worker_context().base.close()
    context.worker_context.cache_clear()
    context.shutting_down.clear()
