"""The address of the service: one socket that outlives its process, or one for each of several processes.

Processes that wait at one socket get its connections unevenly: of 32 that come at once the busier of two got 25 (the
median), and up to all of them. With a socket each, the kernel spreads them by their addresses: 19, at most 23.
"""

import socket
from dataclasses import dataclass

from crossan.client import ClientError

BACKLOG = 2_048


@dataclass(frozen=True)
class Address:
    """Where the service is reached.

    Attributes:
        listener: the socket that holds the port; for several processes it does not listen itself.
        url: for clients.
    """

    listener: socket.socket
    url: str


def bind(host: str, port: int, *, processes: int = 1) -> Address:
    """Take the port before anything else starts; 0 takes a free one.

    Raises:
        ClientError: Someone else has it.
    """
    try:
        listener = bind_alone(host, port)
    except OSError as error:
        raise ClientError(
            f"Port {port} of {host} can't be used ({error.strerror}); choose another with --port."
        ) from error
    found = listener.getsockname()[1]
    if processes == 1:
        listener.listen(BACKLOG)
    else:
        # Taken alone first: sockets that share a port share it with any other service of the same user too.
        listener.close()
        listener = bind_shared(host, found)
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return Address(listener, f"http://{name}:{found}")


def bind_alone(host: str, port: int) -> socket.socket:
    """A socket at a port that nobody else listens at; raises OSError."""
    return _bound(host, port, socket.SO_REUSEADDR)


def bind_shared(host: str, port: int) -> socket.socket:
    """A socket at a port that others of the same user may have too; raises OSError."""
    return _bound(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def _bound(host: str, port: int, *options: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        for option in options:
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
