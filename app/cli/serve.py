"""Runs one API process on a listening socket that it inherits: `python -m app.cli.serve FILE_DESCRIPTOR`.

`uvicorn --fd` would take the socket for a Unix one and leave Nagle's algorithm on: 44 ms a request instead of 0.2.
"""

import socket
import sys
import threading
from types import FrameType

import uvicorn
from fastapi import FastAPI

from app.core.config import Settings
from app.main import create_app

STARTUP_FAILED = 3


class DrainingServer(uvicorn.Server):
    """On the first signal it says for `drain_s` seconds that it is not ready, and serves on; then it ends.

    So whoever balances the load has stopped sending before connections are refused.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: FastAPI | None = None
        super().__init__(uvicorn.Config(self._create, factory=True, access_log=False, timeout_graceful_shutdown=5))

    def _create(self) -> FastAPI:
        self._app = create_app(self._settings)
        return self._app

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


def main(descriptor: int) -> None:
    """Serve until a signal ends it; exits with `STARTUP_FAILED` if the application does not start."""
    server = DrainingServer(Settings())
    server.run(sockets=[socket.socket(fileno=descriptor)])
    if not server.started:
        sys.exit(STARTUP_FAILED)


if __name__ == "__main__":
    main(int(sys.argv[1]))
