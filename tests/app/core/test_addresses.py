"""Addresses that lead inside are refused, however they are written or looked up."""

import socket
from typing import Any

import pytest

from app.core.addresses import AddressRefused, Target, check_url, is_public, resolve


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "1.1.1.1"])
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.88.99.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:1::",
        "127.1",
        "2130706433",
        "localhost",
        "",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "example.com",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://127.0.0.1/",
        "http://[::1]:80/",
        "http://[::ffff:10.0.0.1]/",
        "http://localhost:8000/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://printer.local/",
        "http://metadata.google.internal/",
        "http://example.com:99999/",
        "http://[::1/",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://exämple.com/",
    ],
)
def test_urls_that_are_refused_without_a_look_up(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url)


def answering(*addresses: str) -> Any:
    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    return lookup


def test_the_answer_of_the_look_up_is_what_is_connected_to() -> None:
    target = resolve("https://example.com/a?b=c", lookup=answering("8.8.8.8", "8.8.8.8", "1.1.1.1"))
    assert target == Target("https", "example.com", 443, "/a?b=c", ("8.8.8.8", "1.1.1.1"))
    assert target.host_header == "example.com"
    assert resolve("http://example.com:8080", lookup=answering("8.8.8.8")).host_header == "example.com:8080"
    assert resolve("http://[2606:4700::1111]/", lookup=answering("2606:4700::1111")).host_header == "[2606:4700::1111]"


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("::1",), ()])
def test_one_private_address_among_the_answers_is_enough(addresses: tuple[str, ...]) -> None:
    with pytest.raises(AddressRefused):
        resolve("http://example.com/", lookup=answering(*addresses))


@pytest.mark.parametrize("written", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1"])
def test_other_ways_to_write_an_address_are_caught_by_the_look_up(written: str) -> None:
    with pytest.raises(AddressRefused):
        resolve(f"http://{written}/")


def test_a_name_that_is_unknown() -> None:
    def lookup(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror("no")

    with pytest.raises(AddressRefused, match="cannot be found"):
        resolve("http://example.com/", lookup=lookup)


def test_private_ones_are_fine_where_they_are_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = resolve(f"http://127.0.0.1:{server.getsockname()[1]}/", allow_private=True)
        with target.connect(timeout_s=5.0) as connection:
            assert connection.getpeername() == server.getsockname()


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with Target("http", "x", port, "/", ("127.0.0.2", "127.0.0.1")).connect(timeout_s=5.0) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
    with pytest.raises(OSError, match="refused"):
        Target("http", "x", port, "/", ("127.0.0.2", "127.0.0.1")).connect(timeout_s=5.0)
