"""Both generators against a trivial server."""

import asyncio
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from bench.serve import load as load_module
from bench.serve.load import Asked, Load, LoadFailed, put_load


class Echo(asyncio.Protocol):
    """Answers in two pieces, and with 500 to requests for /broken; remembers what it was asked."""

    asked: ClassVar[list[bytes]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.asked.append(data)
        status = b"500 No" if b"/broken" in data else b"200 OK"
        self.transport.write(b"HTTP/1.1 %s\r\nContent-" % status)
        self.transport.write(b"Length: 5\r\n\r\nhello")


@pytest.fixture
def url() -> Iterator[str]:
    """A server in a thread of its own."""
    loop = asyncio.new_event_loop()
    Echo.asked = []
    server = loop.run_until_complete(loop.create_server(Echo, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()


@pytest.fixture(params=["wrk", "own"])
def generator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "own":
        monkeypatch.setattr(load_module.shutil, "which", lambda name: None)
    elif shutil.which("wrk") is None:
        pytest.skip("wrk is not installed")


@pytest.mark.usefixtures("generator")
def test_it_asks_for_everything_in_turn(url: str, tmp_path: Path) -> None:
    asked = [Asked("/a"), Asked("/b", '{"one": 2}')]
    found = put_load(url, Load(asked, {"Authorization": "Bearer secret"}, duration_s=0.3, connections=4), tmp_path)
    assert found.errors == 0
    assert found.requests > 10
    assert 0 < found.p50_ms <= found.p99_ms
    assert found.rate_per_s > 0
    one, other = (next(data for data in Echo.asked if path in data) for path in (b" /a ", b" /b "))
    assert one.startswith(b"GET /a HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret\r\n" in one
    assert other.startswith(b"POST /b HTTP/1.1\r\n")
    assert b"content-length: 10\r\n" in other.lower()
    assert other.endswith(b'\r\n\r\n{"one": 2}')


@pytest.mark.usefixtures("generator")
def test_a_wrong_answer_fails_the_run(url: str, tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="were not right"):
        put_load(url, Load([Asked("/a"), Asked("/broken")], {}, duration_s=0.2, connections=2), tmp_path)


@pytest.mark.usefixtures("generator")
def test_nobody_there_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed):
        put_load("http://127.0.0.1:9", Load([Asked("/a")], {}, duration_s=0.2, connections=2), tmp_path)
