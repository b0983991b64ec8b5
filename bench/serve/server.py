"""Server processes on a core of their own, started as the product starts them: on a listening socket they inherit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.cli.listening import bind
from app.embedded.processes import stop_in_steps, tail, tethered
from bench.serve.cores import running_on

READY_S = 120.0
_STOP_STEPS = ((signal.SIGTERM, 10.0),)


class ServerFailed(Exception):
    """A server did not become ready; the end of its log is in the message."""


@dataclass(frozen=True)
class Place:
    """Where servers run.

    Attributes:
        cores: numbers of the cores.
        log: takes what they print.
        environment: variables besides those of this process.
    """

    cores: frozenset[int]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        url: without a path.
        pid: of its process.
        ready_s: seconds from its start until it answered.
    """

    url: str
    pid: int
    ready_s: float


@contextmanager
def running_module(module: Sequence[str], place: Place, *, ready: str) -> Iterator[Server]:
    """Run `python -m MODULE FILE_DESCRIPTOR ARGUMENTS…` until the block ends; `ready` is a path of it.

    Raises:
        ServerFailed: It did not answer in time.
    """
    address = bind("127.0.0.1", 0)
    name, *arguments = module
    descriptor = address.listener.fileno()
    command = [sys.executable, "-m", name, str(descriptor), *arguments]
    with running_command(command, place, url=address.url, ready=ready, pass_fds=[descriptor]) as server:
        address.listener.close()
        yield server


@contextmanager
def running_command(
    command: Sequence[str], place: Place, *, url: str, ready: str, pass_fds: Sequence[int] = ()
) -> Iterator[Server]:
    """Run a command (first: an absolute path) that serves at `url` until the block ends.

    Raises:
        ServerFailed: It did not answer in time.
    """
    place.log.parent.mkdir(parents=True, exist_ok=True)
    with place.log.open("ab") as output, running_on(place.cores):
        process = subprocess.Popen(
            tethered(command, death_signal=signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **place.environment},
            pass_fds=pass_fds,
            start_new_session=True,
        )
    start = time.monotonic()
    try:
        _wait_until_ready(url + ready, process, place.log)
        yield Server(url, process.pid, time.monotonic() - start)
    finally:
        stop_in_steps(process, _STOP_STEPS)


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url, timeout=5.0).status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise ServerFailed(f"{url} does not answer; the log {log} says:\n{tail(log)}")
