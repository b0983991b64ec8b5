"""Our own load generator, for where wrk is not: `python -m bench.serve.generator URL REQUESTS CONNECTIONS SECONDS`.

A bare asyncio protocol that keeps one request under way on each connection, and prints what wrk.lua prints.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

OK = b"HTTP/1.1 200"
LENGTH = b"content-length:"
END_OF_HEAD = b"\r\n\r\n"
DRAIN_S = 5.0
"""For answers that are still under way at the end."""


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is whole.

    Args:
        requests: whole requests in turn, shared by all connections.
        until: of `time.perf_counter`: no request after that.
        latencies_s: takes one entry an answer.
    """

    def __init__(self, requests: Iterator[bytes], until: float, latencies_s: list[float]) -> None:
        self.errors = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._until = until
        self._latencies_s = latencies_s
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are none by class.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """Collect; an answer comes in one piece or in several."""
        self._buffer += data
        size = _size(self._buffer)
        if size is None or len(self._buffer) < size:
            return
        now = time.perf_counter()
        self._latencies_s.append(now - self._sent)
        self.errors += not self._buffer.startswith(OK)
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Before the end of the time that is an error."""
        self.errors += time.perf_counter() < self._until
        if not self.ended.done():
            self.ended.set_result(None)


def _size(buffer: bytes) -> int | None:
    """Bytes of the whole answer; None while its head is not there."""
    end = buffer.find(END_OF_HEAD)
    if end < 0:
        return None
    head = buffer[:end].lower()
    at = head.find(LENGTH)
    length = head[at + len(LENGTH) :].partition(b"\r\n")[0] if at >= 0 else b"0"
    return end + len(END_OF_HEAD) + int(length)


async def generate(url: str, requests: list[bytes], *, connections: int, duration_s: float) -> dict[str, float]:
    """Load the server and say what came of it, as `bench.serve.load.Measured`."""
    address = urlsplit(url)
    latencies_s: list[float] = []
    turns = itertools.cycle(requests)
    start = time.perf_counter()
    made = [Connection(turns, start + duration_s, latencies_s) for _ in range(connections)]
    host, port = address.hostname or "", address.port or 0
    for one in made:
        await asyncio.get_running_loop().create_connection(partial(_same, one), host, port)
    _, late = await asyncio.wait([one.ended for one in made], timeout=duration_s + DRAIN_S)
    took_s = time.perf_counter() - start
    latencies_s.sort()
    return {
        "requests": len(latencies_s),
        "rate_per_s": len(latencies_s) / took_s,
        "p50_ms": _percentile_ms(latencies_s, 0.50),
        "p99_ms": _percentile_ms(latencies_s, 0.99),
        "errors": sum(one.errors for one in made) + len(late),
    }


def _same(connection: Connection) -> Connection:
    return connection


def _percentile_ms(ordered_s: list[float], share: float) -> float:
    return ordered_s[int(share * (len(ordered_s) - 1))] * 1e3 if ordered_s else 0.0


def written(url: str, asked: Path) -> list[bytes]:
    """The requests of a file (headers, an empty line, path and body of each) as they go over the wire."""
    headers, _, lines = asked.read_text().partition("\n\n")
    head = "\r\n".join([f"Host: {urlsplit(url).netloc}", *headers.splitlines()])
    return [_request(head, *line.split(" ", 1)) for line in lines.splitlines()]


def _request(head: str, path: str, body: str) -> bytes:
    if not body:
        return f"GET {path} HTTP/1.1\r\n{head}\r\n\r\n".encode()
    content = body.encode()
    return f"POST {path} HTTP/1.1\r\n{head}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def main(url: str, asked: str, connections: str, duration_s: str) -> None:
    """Load, and print one line of JSON."""
    requests = written(url, Path(asked))
    coroutine = generate(url, requests, connections=int(connections), duration_s=float(duration_s))
    try:
        import uvloop

        measured = uvloop.run(coroutine)
    except ImportError:
        measured = asyncio.run(coroutine)
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
