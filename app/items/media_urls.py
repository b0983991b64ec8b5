"""Which addresses media may be fetched from: the hosts that the operator has named, and no others."""

from collections.abc import Sequence
from urllib.parse import urlsplit

MAX_URL_CHARACTERS = 2_048
PORTS = {"http": 80, "https": 443}


class UrlRefused(Exception):
    """An address that nothing is fetched from; the text says why, without the address."""


class UrlPolicy:
    """An allow-list of hosts.

    Args:
        hosts: `host` or `host:port` exactly, `*.domain` for everything below a domain; without a port 80 and 443.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = tuple(hosts)

    def check(self, url: str) -> tuple[str, str, int]:
        """Scheme, host and port of an address; raises UrlRefused."""
        if not self._hosts:
            raise UrlRefused("media by URL are off: the setting CROSSAN_MEDIA_FETCH_HOSTS names no host")
        if len(url) > MAX_URL_CHARACTERS:
            raise UrlRefused(f"longer than the limit of {MAX_URL_CHARACTERS:,} characters")
        if not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>^`{|}'):
            raise UrlRefused("must be written in the characters of a URL; encode others")
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").removesuffix("."), parts.port
        except ValueError as error:
            raise UrlRefused("is not a URL") from error
        if parts.scheme not in PORTS or not host:
            raise UrlRefused("must begin with http:// or https:// and a host")
        if parts.username is not None or parts.password is not None:
            raise UrlRefused("must not carry a user or a password")
        port = PORTS[parts.scheme] if port is None else port
        if not any(_allows(entry, host, port) for entry in self._hosts):
            raise UrlRefused("its host is not one that the setting CROSSAN_MEDIA_FETCH_HOSTS names")
        return parts.scheme, host, port


def _allows(entry: str, host: str, port: int) -> bool:
    """An address of version 6 stands in brackets, so that its colons are not taken for that of a port."""
    named, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and (":" not in named or named.endswith("]")):
        return _matches(named.strip("[]"), host) and int(number) == port
    return _matches(entry.strip("[]"), host) and port in PORTS.values()


def _matches(pattern: str, host: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
