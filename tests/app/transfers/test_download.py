import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from app.items.media_urls import UrlPolicy, UrlRefused
from app.transfers.download import Downloader, DownloadFailed, Timeouts, may_be_fetched

Handler = Callable[[socket.socket, bytes], None]


class Host:
    """A host that answers each connection as it is told."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.handler: Handler = answer(b"hello")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request and (piece := connection.recv(4096)):
                request += piece
            self.requests.append(request)
            self.handler(connection, request)

    def url(self, path: str = "/a.png", host: str = "media.test") -> str:
        return f"http://{host}:{self.port}{path}"


def answer(body: bytes, status: str = "200 OK", *headers: str) -> Handler:
    def send(connection: socket.socket, _: bytes) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode() + body)

    return send


def raw(*pieces: bytes, pause_s: float = 0.0) -> Handler:
    def send(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)

    return send


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.listener.close()


@contextmanager
def failing(*, retry: bool, match: str) -> Iterator[None]:
    with pytest.raises(DownloadFailed, match=match) as caught:
        yield
    assert caught.value.retry is retry


class Names:
    """Looks names up as it is told; each answer once, the last one again and again."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        answers = self.answers.get(host.replace(".", "_"), [["127.0.0.1"]])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def only_loopback(address: str) -> bool:
    """The policy of these tests: 127.0.0.1 stands for the public internet."""
    return address == "127.0.0.1"


def downloader(host: Host, names: Names | None = None, **timeouts: float) -> Downloader:
    limits = Timeouts(timeouts.get("total_s", 20.0), timeouts.get("read_s", 10.0))
    hosts = [f"media.test:{host.port}", f"*.cdn.test:{host.port}"]
    return Downloader(UrlPolicy(hosts), limits, lookup=names or Names(), allowed=only_loopback)


def get(downloader: Downloader, url: str, limit_bytes: int = 1_000_000) -> bytes:
    out = io.BytesIO()
    downloader.download(url, out, limit_bytes=limit_bytes)
    return out.getvalue()


def test_bytes_come_and_the_request_is_plain(host: Host) -> None:
    assert get(downloader(host), host.url("/a.png?size=1&x=%20")) == b"hello"
    (request,) = host.requests
    assert request.startswith(b"GET /a.png?size=1&x=%20 HTTP/1.1\r\n")
    assert f"Host: media.test:{host.port}\r\n".encode() in request
    assert b"Accept-Encoding: identity" in request


def test_bodies_without_a_length(host: Host) -> None:
    host.handler = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert get(downloader(host), host.url()) == b"abcde"
    host.handler = raw(b"HTTP/1.0 200 OK\r\n\r\nabc")
    assert get(downloader(host), host.url()) == b"abc"


def test_only_hosts_that_are_named() -> None:
    policy = UrlPolicy(["media.test", "*.cdn.test", "odd.test:8443", "[2001:4860::1]"])
    for url in ("https://media.test/a", "http://media.test", "https://MEDIA.test./a", "https://a.b.cdn.test:443/x"):
        policy.check(url)
    assert policy.check("https://odd.test:8443/x") == ("https", "odd.test", 8443)
    assert policy.check("http://[2001:4860::1]/x") == ("http", "2001:4860::1", 80)
    for url in (
        "https://other.test/",
        "https://cdn.test/",
        "https://evilcdn.test/",
        "https://media.test.evil.test/",
        "https://media.test:8443/",
        "https://odd.test/",
        "https://media.test@evil.test/",
        "https://evil.test\\@media.test/",
        "https://user:secret@media.test/",
        "ftp://media.test/a",
        "file:///etc/passwd",
        "//media.test/a",
        "media.test/a",
        "https://",
        "https://media.test:99999/",
        "https://media.test/a b",
        "https://media.test/\r\nX: y",
        "https://media.test/ä",
        "https://[::1",
        "https://media.test/" + "a" * 3_000,
    ):
        with pytest.raises(UrlRefused):
            policy.check(url)
    with pytest.raises(UrlRefused, match="CROSSAN_MEDIA_FETCH_HOSTS"):
        UrlPolicy([]).check("https://media.test/a")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "192.88.99.1", "192.0.0.8", "::", "::1", "fe80::1",
        "fc00::1", "ff02::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8",
        "2002:7f00:1::1", "2002:808:808::1", "2001:0:808:808::1", "64:ff9b::7f00:1", "64:ff9b::808:808",
        "64:ff9b:1::1", "fe80::1%eth0", "2606:4700::1%1", "2001:2::1", "3fff::1",
        "100::1", "", "localhost", "1", "127.1",
    ],
)  # fmt: skip
def test_addresses_that_nothing_is_fetched_from(address: str) -> None:
    assert not may_be_fetched(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::200e"])
def test_public_addresses(address: str) -> None:
    assert may_be_fetched(address)


@pytest.mark.parametrize("found", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"]])
def test_a_name_with_any_private_address_is_refused(host: Host, found: list[str]) -> None:
    with failing(retry=False, match="not public"):
        get(downloader(host, Names(media_test=[found])), host.url())
    assert host.requests == []


def test_a_name_that_changes_after_it_was_checked_is_not_asked_again(host: Host) -> None:
    """DNS rebinding: the second answer would lead to the inside, where nobody listens."""
    names = Names(media_test=[["127.0.0.1"], ["10.255.255.1"]])
    assert get(downloader(host, names), host.url()) == b"hello"
    assert names.asked == ["media.test"]


def test_redirects_are_followed_where_they_may_be(host: Host) -> None:
    def handler(connection: socket.socket, request: bytes) -> None:
        step = int(request.split(b"/", 1)[1].split(b" ")[0])
        where = [f"Location: /{step + 1}", f"Location: http://x.cdn.test:{host.port}/2", "Location: 3"]
        (answer(b"there") if step == 3 else answer(b"", "302 Found", where[step]))(connection, request)

    host.handler = handler
    names = Names()
    assert get(downloader(host, names), host.url("/0")) == b"there"
    assert names.asked == ["media.test", "media.test", "x.cdn.test", "x.cdn.test"], "each is looked up and checked"


def test_too_many_redirects(host: Host) -> None:
    host.handler = answer(b"", "301 Moved Permanently", "Location: /again")
    with failing(retry=False, match="more than 3 times"):
        get(downloader(host), host.url())
    assert len(host.requests) == 4


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/",
        "http://inside.test/",
        "http://media.test:1/",
        "file:///etc/passwd",
        "gopher://x/",
        "http://u@media.test:{port}/",
    ],
)
def test_redirects_elsewhere_are_refused(host: Host, location: str) -> None:
    host.handler = answer(b"", "307 Temporary Redirect", f"Location: {location.format(port=host.port)}")
    with failing(retry=False, match="refused"):
        get(downloader(host), host.url())
    assert len(host.requests) == 1


def test_a_redirect_to_an_allowed_name_that_leads_inside(host: Host) -> None:
    host.handler = answer(b"", "302 Found", f"Location: http://a.cdn.test:{host.port}/")
    with failing(retry=False, match="not public"):
        get(downloader(host, Names(a_cdn_test=[["192.168.0.1"]])), host.url())


def test_more_than_the_limit(host: Host) -> None:
    host.handler = answer(b"x" * 1_001)
    with failing(retry=False, match="limit of 1,000 bytes"):
        get(downloader(host), host.url(), limit_bytes=1_000)
    host.handler = raw(b"HTTP/1.0 200 OK\r\n\r\n", *[b"x" * 500] * 5)
    with failing(retry=False, match="limit of 1,000 bytes"):
        get(downloader(host), host.url(), limit_bytes=1_000)
    assert len(get(downloader(host), host.url(), limit_bytes=2_500)) == 2_500


@pytest.mark.parametrize(
    ("status", "retry"),
    [
        *((status, False) for status in ("404 Not Found", "403 F", "410 G", "206 P", "204 N", "304 N")),
        *((status, True) for status in ("429 T", "408 T", "500 E", "503 U")),
    ],
)
def test_other_answers(host: Host, status: str, retry: bool) -> None:
    host.handler = answer(b"secret", status)
    with failing(retry=retry, match=f"answered {status[:3]}$"):
        get(downloader(host), host.url())


def test_what_is_cut_off_is_tried_again(host: Host) -> None:
    host.handler = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    with failing(retry=True, match="before the end"):
        get(downloader(host), host.url())
    host.handler = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc")
    with failing(retry=True, match="IncompleteRead"):
        get(downloader(host), host.url())
    host.handler = raw(b"")
    with failing(retry=True, match="did not answer"):
        get(downloader(host), host.url())
    host.handler = raw(b"SSH-2.0-OpenSSH\r\n\r\n")
    with failing(retry=True, match="BadStatusLine"):
        get(downloader(host), host.url())


def test_what_was_not_asked_for(host: Host) -> None:
    host.handler = answer(b"x", "200 OK", "Content-Encoding: gzip")
    with failing(retry=False, match="compressed"):
        get(downloader(host), host.url())


def test_a_host_that_says_nothing(host: Host) -> None:
    host.handler = raw(b"", pause_s=5.0)
    with failing(retry=True, match="too slow"):
        get(downloader(host, read_s=0.1), host.url())


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"])
def test_a_byte_now_and_then_does_not_hold_it_up(host: Host, begin: bytes) -> None:
    """Slow loris: each byte comes in time, and all of them never would."""
    host.handler = raw(begin, *[b"H"] * 1_000, pause_s=0.02)
    with failing(retry=True, match="too slow"):
        get(downloader(host, total_s=0.5, read_s=5.0), host.url())


def test_a_handshake_that_never_comes_to_an_end_does_not_hold_it_up(host: Host) -> None:
    """The header of a TLS record of 16,384 bytes, and then a byte now and then."""
    host.handler = raw(b"\x16\x03\x03\x40\x00", *[b"\x02"] * 1_000, pause_s=0.02)
    with failing(retry=True, match="too slow"):
        get(downloader(host, total_s=0.5, read_s=5.0), host.url().replace("http:", "https:"))


def test_nobody_there(host: Host) -> None:
    host.listener.shutdown(socket.SHUT_RDWR)
    host.listener.close()
    with failing(retry=True, match="ConnectionRefusedError"):
        get(downloader(host), host.url())


def test_no_such_name(host: Host) -> None:
    def unknown(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    policy = UrlPolicy([f"media.test:{host.port}"])
    with failing(retry=True, match="cannot be found"):
        get(Downloader(policy, Timeouts(1.0, 1.0), lookup=unknown), host.url())


def test_the_certificate_has_to_be_the_hosts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def refuse(self: ssl.SSLContext, connection: socket.socket, *, server_hostname: str, **_: Any) -> None:
        assert self.check_hostname
        assert self.verify_mode is ssl.CERT_REQUIRED
        names.append(server_hostname)
        raise ssl.SSLCertVerificationError("self-signed, with a secret in it")

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", refuse)
    with failing(retry=False, match="certificate of the host is not valid"):
        get(downloader(host), host.url().replace("http:", "https:"))
    assert names == ["media.test"]


def test_asking_to_leave_off_ends_a_download(host: Host) -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        downloader(host).download(host.url(), io.BytesIO(), limit_bytes=100, check=stop)
