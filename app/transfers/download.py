"""Downloads from hosts that are allowed, and from no address that is not public, whatever a name resolves to."""

import http.client
import io
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from app.core.addresses import Target, is_public
from app.items.media_urls import UrlPolicy, UrlRefused

MAX_REDIRECTS = 3
PIECE_BYTES = 1 << 16
USER_AGENT = "crossan-fetch/1"
_REDIRECTS = frozenset(
    {
        HTTPStatus.MOVED_PERMANENTLY,
        HTTPStatus.FOUND,
        HTTPStatus.SEE_OTHER,
        HTTPStatus.TEMPORARY_REDIRECT,
        HTTPStatus.PERMANENT_REDIRECT,
    }
)
_RETRIED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "2001::/23", "3fff::/20", "2620:4f:8000::/48")))
"""Assigned to protocols, documentation and AS112 (IANA's registries of special-purpose addresses)."""

Lookup = Callable[..., Sequence[tuple[Any, ...]]]


class DownloadFailed(Exception):
    """Nothing usable came; the text says why and has nothing of the address or of what the other side wrote.

    Attributes:
        retry: whether the same may go well another time.
    """

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry


def may_be_fetched(address: str) -> bool:
    """Whether an IP address is public and its own: none that carries another one (mapped, 6to4, NAT64)."""
    if not is_public(address):
        return False
    ip = ipaddress.ip_address(address)
    if any(ip.version == network.version and ip in network for network in _SPECIAL):
        return False
    return ip.version == 4 or ip in _GLOBAL_UNICAST


@dataclass(frozen=True)
class Timeouts:
    """Seconds: for all of a download but the look-up of names, and for connecting and each piece."""

    total_s: float
    read_s: float


class Downloader:
    """Downloads media.

    Args:
        policy: which hosts.
        timeouts: how long.
        lookup: as `socket.getaddrinfo`.
        allowed: which IP addresses.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        timeouts: Timeouts,
        *,
        lookup: Lookup = socket.getaddrinfo,
        allowed: Callable[[str], bool] = may_be_fetched,
    ) -> None:
        self._policy = policy
        self._timeouts = timeouts
        self._lookup = lookup
        self._allowed = allowed

    def download(self, url: str, out: BinaryIO, *, limit_bytes: int, check: Callable[[], None] = lambda: None) -> None:
        """Write what is at the address to `out`.

        Args:
            url: where.
            out: takes the bytes.
            limit_bytes: how many at most.
            check: called between pieces; whatever it raises ends the download.

        Raises:
            DownloadFailed: nothing usable came.
        """
        deadline = time.monotonic() + self._timeouts.total_s
        bounded = _Bounded(out, limit_bytes, check)
        for _ in range(MAX_REDIRECTS + 1):
            redirected = self._request(url, bounded, deadline)
            if redirected is None:
                return
            if urlsplit(url).scheme == "https" and urlsplit(redirected).scheme != "https":
                raise DownloadFailed("the host leads from https to an address that is not", retry=False)
            url = redirected
        raise DownloadFailed(f"the host redirects more than {MAX_REDIRECTS} times", retry=False)

    def _request(self, url: str, out: "_Bounded", deadline: float) -> str | None:
        """One request; where it leads, or None when its answer has been written."""
        target = self._resolve(url)
        try:
            with _Connected(target, deadline, self._timeouts.read_s) as connection:
                return _exchange(connection, url, target, out)
        except ssl.SSLCertVerificationError as error:
            raise DownloadFailed("the certificate of the host is not valid for it", retry=False) from error
        except TimeoutError as error:
            raise DownloadFailed("the host was too slow", retry=True) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadFailed(
                f"the host did not answer as it should ({type(error).__name__})", retry=True
            ) from error

    def _resolve(self, url: str) -> Target:
        """Look the host up once: the connection goes to what was found and checked, not to what a second look finds."""
        try:
            scheme, host, port = self._policy.check(url)
        except UrlRefused as error:
            raise DownloadFailed(f"an address was refused: {error}", retry=False) from error
        try:
            found = [str(entry[4][0]) for entry in self._lookup(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            raise DownloadFailed("the name of the host cannot be found", retry=True) from error
        if not found:
            raise DownloadFailed("the name of the host cannot be found", retry=True)
        if not all(self._allowed(address) for address in found):
            raise DownloadFailed("the name of the host leads to an address that is not public", retry=False)
        parts = urlsplit(url)
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        return Target(scheme, host, port, path, tuple(dict.fromkeys(found)))


class _Bounded:
    """Takes bytes up to a limit, and asks now and then whether to go on."""

    def __init__(self, out: BinaryIO, limit_bytes: int, check: Callable[[], None]) -> None:
        self._out = out
        self._check = check
        self._room = limit_bytes
        self.limit_bytes = limit_bytes

    def write(self, piece: bytes) -> None:
        """Write it; raises DownloadFailed past the limit."""
        self._check()
        self._room -= len(piece)
        if self._room < 0:
            raise _too_large(self.limit_bytes)
        self._out.write(piece)


def _exchange(connection: http.client.HTTPConnection, url: str, target: Target, out: _Bounded) -> str | None:
    """Ask for it; where the answer leads, or None when it has been written."""
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
    connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": target.host_header, **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    location = answer.headers.get("Location")
    if answer.status in _REDIRECTS and location:
        return urljoin(url, location)
    _check_answer(answer, out.limit_bytes)
    while piece := answer.read(PIECE_BYTES):
        out.write(piece)
    if answer.length:
        raise DownloadFailed("the host ended before the end", retry=True)
    return None


def _check_answer(answer: http.client.HTTPResponse, limit_bytes: int) -> None:
    """Raise DownloadFailed for what is not a whole answer of a size that is wanted."""
    if answer.status != HTTPStatus.OK:
        retry = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status in _RETRIED
        raise DownloadFailed(f"the host answered {answer.status}", retry=retry)
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise DownloadFailed("the host sent it compressed, though it was asked not to", retry=False)
    if answer.length is not None and answer.length > limit_bytes:
        raise _too_large(limit_bytes)


def _too_large(limit_bytes: int) -> DownloadFailed:
    return DownloadFailed(f"larger than the limit of {limit_bytes:,} bytes", retry=False)


class _Connected:
    """An HTTP connection to a target whose every read ends by a deadline, however slowly bytes come."""

    def __init__(self, target: Target, deadline: float, read_s: float) -> None:
        self._target = target
        self._deadline = deadline
        self._read_s = read_s

    def __enter__(self) -> http.client.HTTPConnection:
        self._socket = self._target.connect(timeout_s=min(self._read_s, _left(self._deadline)))
        connection = http.client.HTTPConnection(self._target.host, self._target.port)
        connection.auto_open = 0
        connection.sock = _DeadlineSocket(self._socket, self._deadline, self._read_s)
        return connection

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _DeadlineSocket:
    """What `http.client` uses of a socket; closing is left to the context around it."""

    def __init__(self, connection: socket.socket, deadline: float, read_s: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._read_s = read_s

    def _set_timeout(self) -> socket.socket:
        self._connection.settimeout(min(self._read_s, _left(self._deadline)))
        return self._connection

    def sendall(self, data: bytes) -> None:
        """Send it in time."""
        self._set_timeout().sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """What the other side sends."""
        return io.BufferedReader(_Received(self._set_timeout), PIECE_BYTES)

    def close(self) -> None:
        """Not yet: the answer is read after it."""


class _Received(io.RawIOBase):
    """Bytes as they come, each piece in time."""

    def __init__(self, connection: Callable[[], socket.socket]) -> None:
        self._connection = connection

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What is there, at least a byte; 0 at the end."""
        return self._connection().recv_into(buffer)
