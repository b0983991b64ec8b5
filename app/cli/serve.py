"""Runs one API process: `python -m app.cli.serve FD` on a socket that it inherits, `… HOST:PORT` on one of its own.

`uvicorn --fd` would take the socket for a Unix one and leave Nagle's algorithm on: 44 ms a request instead of 0.2.
"""

import asyncio
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.cli import garbage
from app.cli.listening import bind_shared
from app.core.config import Settings
from app.main import create_app
from app.telemetry.metrics import forget_ended_processes

STARTUP_FAILED = 3


class DrainingServer(uvicorn.Server):
    """On the first signal it says for `drain_s` seconds that it is not ready, and serves on; then it ends.

    So whoever balances the load has stopped sending before connections are refused.

    Args:
        settings: of the process.
        listens_warm: whether it takes no connection before it is warm: the others beside it do meanwhile.
    """

    def __init__(self, settings: Settings, *, listens_warm: bool = False) -> None:
        self._settings = settings
        self._listens_warm = listens_warm
        self._app: FastAPI | None = None
        super().__init__(uvicorn.Config(self._create, factory=True, access_log=False, timeout_graceful_shutdown=5))

    def _create(self) -> FastAPI:
        self._app = create_app(self._settings)
        if self._listens_warm:
            _start_warm(self._app)
        return self._app

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; the garbage collector settles as soon as everything is loaded."""
        await super().startup(sockets)
        if self.started and self._app is not None:
            self._settling = asyncio.create_task(garbage.settle(self._app.state.warm_up.finished))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End, later if others have to notice first; a second signal ends it at once."""
        app = self._app
        if not self._settings.drain_s or app is None or getattr(app.state, "draining", False):
            super().handle_exit(sig, frame)
            return
        app.state.draining = True
        timer = threading.Timer(self._settings.drain_s, super().handle_exit, (sig, frame))
        timer.daemon = True
        timer.start()


def _start_warm(app: FastAPI) -> None:
    """Have the application's start last until it is warm; uvicorn listens after that."""
    start = app.router.lifespan_context

    @asynccontextmanager
    async def start_warm(app: FastAPI) -> AsyncIterator[None]:
        async with start(app):
            await app.state.warm_up.finished.wait()
            yield

    app.router.lifespan_context = start_warm


def main(address: str) -> None:
    """Serve until a signal ends it; exits with `STARTUP_FAILED` if the application does not start."""
    host, _, port = address.rpartition(":")
    forget_ended_processes()
    garbage.look_rarely()
    listener = bind_shared(host, int(port)) if host else socket.socket(fileno=int(address))
    server = DrainingServer(Settings(), listens_warm=bool(host))
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(STARTUP_FAILED)


if __name__ == "__main__":
    main(sys.argv[1])
