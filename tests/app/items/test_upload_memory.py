"""An upload passes through the API in pieces: what the process holds does not grow with the file."""

import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping
from typing import Any

import pytest

from tests.fixtures import media
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item

PIECE_BYTES = 64 << 10
FILE_BYTES = 96 << 20
HELD_BYTES = 12 << 20
"""A spool, a part's buffers, and what the request allocates beside; an eighth of the file."""


def pieces_of_a_large_video() -> Iterator[bytes]:
    """A short video followed by a box that every reader skips (ISO 14496-12, `free`)."""
    yield media.mp4()
    yield struct.pack(">I4s", FILE_BYTES + 8, b"free")
    for _ in range(FILE_BYTES // PIECE_BYTES):
        yield bytes(PIECE_BYTES)


def raw() -> tuple[str, Iterator[bytes]]:
    return "application/octet-stream", pieces_of_a_large_video()


def multipart() -> tuple[str, Iterator[bytes]]:
    def body() -> Iterator[bytes]:
        yield b'--cut\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        yield from pieces_of_a_large_video()
        yield b"\r\n--cut--\r\n"

    return "multipart/form-data; boundary=cut", body()


async def post(app: Any, headers: dict[str, str], path: str, pieces: Iterator[bytes]) -> tuple[int, int]:
    """The status, and the most bytes that Python has held meanwhile."""
    stream = _messages(pieces)
    answers: list[MutableMapping[str, Any]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await app(scope, lambda: anext(stream), send)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return answers[0]["status"], peak - before


async def _messages(pieces: Iterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    for piece in pieces:
        yield {"type": "http.request", "body": piece, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize("form", [raw, multipart])
def test_a_large_video_is_never_held_in_memory(
    service: Service, form: Callable[[], tuple[str, Iterator[bytes]]]
) -> None:
    put_item(service, "a", "x")
    content_type, pieces = form()
    headers = {"authorization": f"Bearer {service.key}", "content-type": content_type}
    assert service.client.portal is not None
    status, held = service.client.portal.call(post, service.client.app, headers, "/items/a/media/video", pieces)
    assert status == 202
    assert held < HELD_BYTES
    stored = service.client.get("/items/a").json()["media"]["video"]
    assert stored["size_bytes"] > FILE_BYTES
