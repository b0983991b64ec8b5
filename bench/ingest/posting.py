"""Posts prepared bodies over some connections that stay open, and keeps the answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

OK = (b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 202")
LENGTH = b"content-length:"
END_OF_HEAD = b"\r\n\r\n"
PIECE_BYTES = 256 << 10


class PostFailed(Exception):
    """A request was not answered as it should be; the message has the answer."""


@dataclass(frozen=True)
class Posted:
    """The bodies of the answers, in the order in which they came, and how long all took."""

    answers: Sequence[bytes]
    seconds: float


def head_of(url: str, path: str, headers: Mapping[str, str], size_bytes: int) -> bytes:
    """Of a request with a body of this size."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}", f"Content-Length: {size_bytes}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def post_all(url: str, requests: Iterable[bytes], connections: int) -> Posted:
    """Send every request once, over so many connections; raises PostFailed.

    Args:
        url: of the server.
        requests: head and body.
        connections: that wait for an answer at the same time.
    """
    return asyncio.run(_post_all(url, iter(requests), connections))


async def _post_all(url: str, requests: Iterator[bytes], connections: int) -> Posted:
    answers: list[bytes] = []
    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(_work_off(url, requests, answers))
    return Posted(answers, time.perf_counter() - started)


async def _work_off(url: str, requests: Iterator[bytes], answers: list[bytes]) -> None:
    async for reader, writer in _connected(url):
        for request in requests:
            writer.write(request)
            answers.append(await _answer(reader))


def post_stream(url: str, head: bytes, pieces: Iterable[bytes]) -> Posted:
    """Send one request whose body comes in pieces; raises PostFailed."""
    return asyncio.run(_post_stream(url, head, pieces))


async def _post_stream(url: str, head: bytes, pieces: Iterable[bytes]) -> Posted:
    started = time.perf_counter()
    answers: list[bytes] = []
    async for reader, writer in _connected(url):
        writer.write(head)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        answers.append(await _answer(reader))
    return Posted(answers, time.perf_counter() - started)


async def _connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """One connection, closed afterwards."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(END_OF_HEAD)
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(LENGTH)]
    body = await reader.readexactly(int(lengths[0][len(LENGTH) :])) if lengths else b""
    if not head.startswith(OK):
        raise PostFailed((head + body).decode(errors="replace"))
    return body
