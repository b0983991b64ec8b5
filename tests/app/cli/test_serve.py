"""A process that shall end says so before it does."""

import signal
import time

import pytest

from app.cli.serve import DrainingServer
from app.core.config import Settings

AWAY = {"database_url": "postgresql://nobody@127.0.0.1:1/nothing", "redis_url": "redis://127.0.0.1:1"}


def server(drain_s: float) -> DrainingServer:
    made = DrainingServer(Settings(drain_s=drain_s, log_level="WARNING", **AWAY))
    made.config.load()
    return made


def test_without_a_drain_it_ends_at_once() -> None:
    ending = server(0.0)
    ending.handle_exit(signal.SIGTERM, None)
    assert ending.should_exit


def test_it_drains_first_and_ends_by_itself() -> None:
    ending = server(0.05)
    ending.handle_exit(signal.SIGTERM, None)
    assert ending._app is not None
    assert ending._app.state.draining
    assert not ending.should_exit
    while not ending.should_exit:
        time.sleep(0.01)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(sig: signal.Signals) -> None:
    ending = server(600.0)
    ending.handle_exit(signal.SIGTERM, None)
    ending.handle_exit(sig, None)
    assert ending.should_exit
