"""A receiver, and a service that may send to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import Settings
from tests.app.conftest import _settings
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.receiver import Receiver, running_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somewhere to send messages to."""
    with running_receiver() as running:
        yield running


@pytest.fixture
def light_settings(tmp_path: Path, database_url: str, redis_url: str, fakes: dict[str, FakeEncoder]) -> Settings:
    """Settings under which webhooks may lead to loopback."""
    settings = _settings(tmp_path / "data", database_url, redis_url, fakes)
    return settings.model_copy(update={"webhook_allow_private": True})
