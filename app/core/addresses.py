"""Which network addresses this service may call on behalf of a client, and connections to exactly those."""

import ipaddress
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in ("192.88.99.0/24", "2002::/16", "2001::/32", "100::/64", "fec0::/10", "5f00::/16")
)
"""Relays of 6to4 and Teredo, which may lead anywhere; what was given back or is for tests or the inside only."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[..., Sequence[tuple[Any, ...]]]


class AddressRefused(Exception):
    """The address is none that this service calls; the message says why, as the end of a sentence about it."""


def is_public(address: str) -> bool:
    """Whether an IP address, as text, belongs to a host of the public internet; a scope ('%eth0') is never public."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            return False
        inner = ip.ipv4_mapped or (ipaddress.ip_address(int(ip) & 0xFFFF_FFFF) if ip in _NAT64 else None)
        if inner is not None:
            return is_public(str(inner))
    if any(ip.version == network.version and ip in network for network in _NEVER):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


@dataclass(frozen=True)
class Target:
    """An address of a URL that has been resolved and accepted: connect to `ips`, and to nothing else.

    Attributes:
        scheme: http or https.
        host: as the URL names it; for the Host header and the certificate.
        port: as the URL has it, or the scheme's own.
        path: with the query, at least "/".
        ips: the addresses to connect to, the first that answers.
    """

    scheme: str
    host: str
    port: int
    path: str
    ips: tuple[str, ...]

    def connect(self, *, timeout_s: float) -> socket.socket:
        """A connection, over TLS if the scheme says so; the certificate has to be the host's. Raises OSError.

        Args:
            timeout_s: for all of it, however slowly the other side talks; the connection has it afterwards.
        """
        deadline = time.monotonic() + timeout_s
        connection = self._connect(deadline)
        try:
            if self.scheme == "https":
                connection = _secured(connection, self.host, deadline)
        except BaseException:
            connection.close()
            raise
        connection.settimeout(timeout_s)
        return connection

    def _connect(self, deadline: float) -> socket.socket:
        for ip in self.ips[:-1]:
            try:
                return socket.create_connection((ip, self.port), _left(deadline))
            except OSError:
                continue
        return socket.create_connection((self.ips[-1], self.port), _left(deadline))

    @property
    def host_header(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def _secured(connection: socket.socket, host: str, deadline: float) -> ssl.SSLSocket:
    """The connection over TLS; a timeout of a socket begins anew with every byte, so this waits by itself."""
    context = ssl.create_default_context()
    secured = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    try:
        secured.setblocking(False)
        while True:
            try:
                secured.do_handshake()
                return secured
            except ssl.SSLWantReadError:
                _wait(secured, selectors.EVENT_READ, deadline)
            except ssl.SSLWantWriteError:
                _wait(secured, selectors.EVENT_WRITE, deadline)
    except BaseException:
        secured.close()
        raise


def _wait(connection: socket.socket, event: int, deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, event)
        selector.select(_left(deadline))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def check_url(url: str, *, allow_private: bool = False) -> tuple[str, str, int, str]:
    """Scheme, host, port and path of an address; nothing is looked up.

    Raises:
        AddressRefused: no http(s), no host, a user's name in it, or a private address written out.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise AddressRefused("is not a URL") from error
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise AddressRefused("has to be a URL that begins with http:// or https:// and names a host")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("must not contain a user's name or a password")
    if not url.isascii() or any(character.isspace() or not character.isprintable() for character in url):
        raise AddressRefused("must consist of printable ASCII characters")
    if not allow_private and (_is_local_name(host) or (_is_ip(host) and not is_public(host))):
        raise AddressRefused("leads to a private address")
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    return parts.scheme, host, port if port is not None else DEFAULT_PORTS[parts.scheme], target


def resolve(url: str, *, allow_private: bool = False, lookup: Resolve = socket.getaddrinfo) -> Target:
    """Look up the host of a URL once, and take an address that may be called.

    A name that has any private address is refused: whoever answers so means the inside.

    Args:
        url: http or https.
        allow_private: whether addresses of the inside are fine.
        lookup: as `socket.getaddrinfo`.

    Raises:
        AddressRefused: see `check_url`; or the name is unknown, or it leads to a private address.
    """
    scheme, host, port, path = check_url(url, allow_private=allow_private)
    try:
        found = [str(entry[4][0]) for entry in lookup(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise AddressRefused("names a host that cannot be found") from error
    if not found:
        raise AddressRefused("names a host that cannot be found")
    if not allow_private and not all(is_public(ip) for ip in found):
        raise AddressRefused("leads to a private address")
    return Target(scheme, host, port, path, tuple(dict.fromkeys(found)))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local_name(host: str) -> bool:
    name = host.rstrip(".").lower()
    return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))
