"""Runs one API process on a listening socket that it inherits: `python -m app.cli.serve FILE_DESCRIPTOR`.

`uvicorn --fd` would take the socket for a Unix one and leave Nagle's algorithm on: 44 ms a request instead of 0.2.
"""

import socket
import sys

import uvicorn

STARTUP_FAILED = 3


def main(descriptor: int) -> None:
    """Serve until a signal ends it; exits with `STARTUP_FAILED` if the application does not start."""
    config = uvicorn.Config("app.main:create_app", factory=True, access_log=False, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=descriptor)])
    if not server.started:
        sys.exit(STARTUP_FAILED)


if __name__ == "__main__":
    main(int(sys.argv[1]))
