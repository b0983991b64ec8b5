import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.line_streams import LineStream
from app.core.errors import InvalidRequest, PayloadTooLarge
from app.transfers.chunks import Chunk
from app.transfers.decoding import Line
from app.transfers.results import LineResult, LineStatus

CHUNKS, LINES = 200, 500


def write(lines: Sequence[Line]) -> list[LineResult]:
    return [LineResult(line.number, LineStatus.ACCEPTED, f"e{line.number}" * 20) for line in lines]


def chunk(number: int) -> Chunk:
    first = number * LINES + 1
    return Chunk([Line(n, {}) for n in range(first, first + LINES)], 0, first + LINES)


async def answer(chunks: AsyncIterator[Chunk], send: Any) -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("the body is read by the chunks")

    await LineStream(chunks, write)({"type": "http"}, receive, send)


def documents(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(message.get("body", b"") for message in sent).splitlines()]


async def test_a_client_that_reads_only_after_it_has_sent_everything() -> None:
    """The answer is far larger than any buffer: whoever waited for it to be read would never read on."""
    all_sent = asyncio.Event()
    sent: list[dict[str, Any]] = []

    async def chunks() -> AsyncIterator[Chunk]:
        for number in range(CHUNKS):
            yield chunk(number)
        all_sent.set()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await all_sent.wait()
        sent.append(message)

    await asyncio.wait_for(answer(chunks(), send), 60)
    *results, end = documents(sent)
    assert [result["line"] for result in results] == list(range(1, CHUNKS * LINES + 1))
    assert end == {"summary": {"lines": CHUNKS * LINES, "accepted": CHUNKS * LINES, **NOTHING_ELSE}}


NOTHING_ELSE = {"created": 0, "updated": 0, "duplicate": 0, "rejected": 0}


async def test_answers_leave_while_lines_come() -> None:
    first_answer = asyncio.Event()
    sent: list[dict[str, Any]] = []

    async def chunks() -> AsyncIterator[Chunk]:
        yield chunk(0)
        await asyncio.wait_for(first_answer.wait(), 60)
        yield chunk(1)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message.get("body"):
            first_answer.set()

    await answer(chunks(), send)
    assert len(documents(sent)) == 2 * LINES + 1


@pytest.mark.parametrize(
    ("error", "status"), [(InvalidRequest.of("body", "x"), 422), (ClientDisconnect(), None), (None, 413)]
)
async def test_what_goes_wrong_on_the_way_is_the_last_line(error: Exception | None, status: int | None) -> None:
    sent: list[dict[str, Any]] = []

    async def chunks() -> AsyncIterator[Chunk]:
        yield chunk(0)
        if error is not None:
            raise error
        raise HTTPException(413) from PayloadTooLarge(limit_bytes=1)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await answer(chunks(), send)
    *results, end = documents(sent)
    assert len(results) == end["summary"]["lines"] == LINES
    assert end.get("error", {}).get("status") == status


async def test_what_is_wrong_with_all_of_it_comes_before_anything_is_answered() -> None:
    sent: list[dict[str, Any]] = []

    async def chunks() -> AsyncIterator[Chunk]:
        raise InvalidRequest.of("header", "x")
        yield chunk(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with pytest.raises(InvalidRequest):
        await answer(chunks(), send)
    assert sent == []
