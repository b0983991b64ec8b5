"""Lines in, answers out, at the same time: bodies of any length, read in pieces, each line answered."""

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import anyio
import anyio.to_thread
import structlog
from fastapi import Request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.core.errors import CrossanError, DependencyUnavailable
from app.transfers.chunks import Chunk, TextChunker
from app.transfers.decoding import Line
from app.transfers.results import LineResult, Summary, as_line

log = structlog.get_logger(__name__)

NDJSON = "application/x-ndjson"
SPOOL_BYTES = 1 << 20
PIECE_BYTES = 1 << 16

WriteChunk = Callable[[Sequence[Line]], Sequence[LineResult]]


class LineStream(Response):
    """Answers each line as it is written, and ends with a line that sums up, or says why the stream was cut.

    Answers that the client does not take yet wait on disk: many clients begin to read when they have sent everything,
    and whoever waited for them to read would wait forever.

    Args:
        chunks: the lines, as they arrive.
        write: stores a chunk, in a thread.
    """

    media_type = NDJSON

    def __init__(self, chunks: AsyncIterator[Chunk], write: WriteChunk) -> None:
        super().__init__()
        del self.headers["content-length"]
        # Compression would hold lines back.
        self.headers["content-encoding"] = "identity"
        self._chunks = chunks
        self._write = write
        self._summary = Summary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write the first chunk before anything is answered: what is wrong with all of it is a plain error."""
        first = await self._next()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        outbox = _Outbox()
        async with anyio.create_task_group() as group:
            group.start_soon(self._fill, outbox, first)
            await outbox.drain(send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> Sequence[LineResult] | None:
        chunk = await anext(self._chunks, None)
        if chunk is None:
            return None
        results = await anyio.to_thread.run_sync(self._write, chunk.lines)
        self._summary.add(results)
        return results

    async def _fill(self, outbox: "_Outbox", results: Sequence[LineResult] | None) -> None:
        error: CrossanError | None = None
        try:
            while results is not None:
                outbox.put(as_line(result.as_json()) for result in results)
                results = await self._next()
        except ClientDisconnect:
            log.info("stream left by the client", lines=self._summary.lines)
        except HTTPException as refused:
            cause = refused.__cause__
            error = cause if isinstance(cause, CrossanError) else CrossanError("The body could not be read to its end.")
        except CrossanError as refused:
            error = refused
        except (OperationalError, PoolTimeout) as gone:
            log.error("stream cut, dependency unavailable", error=str(gone))
            error = DependencyUnavailable(
                "The database does not answer; what is answered above is stored. Send the rest."
            )
        finally:
            outbox.put([as_line(_end(self._summary, error))])
            outbox.close()


def _end(summary: Summary, error: CrossanError | None) -> dict[str, object]:
    end: dict[str, object] = {"summary": summary.model_dump()}
    if error is not None:
        end["error"] = {"type": f"/problems/{error.slug}", "status": int(error.status), "detail": error.detail}
    return end


class _Outbox:
    """A pipe that takes any amount without waiting: what is not taken out soon lies on disk."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by `drain`
        self._read = self._written = 0
        self._news = anyio.Event()
        self._closed = False

    def put(self, lines: Iterable[bytes]) -> None:
        """Add lines."""
        self._file.seek(self._written)
        self._written += self._file.write(b"".join(lines))
        self._tell()

    def close(self) -> None:
        """Nothing more comes."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def drain(self, send: Send) -> None:
        """Send everything until the end."""
        with self._file:
            while self._read < self._written or not self._closed:
                news = self._news
                self._file.seek(self._read)
                piece = self._file.read(PIECE_BYTES)
                if not piece:
                    self._file.seek(0)
                    self._file.truncate()
                    self._read = self._written = 0
                    await news.wait()
                    continue
                self._read += len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})


async def chunks_of(request: Request, chunker: TextChunker) -> AsyncIterator[Chunk]:
    """The chunks of a body; raises InvalidRequest for the header of a table that is wrong."""
    async for piece in request.stream():
        for chunk in await anyio.to_thread.run_sync(_listed, chunker.feed, piece):
            yield chunk
    for chunk in await anyio.to_thread.run_sync(list, chunker.finish()):
        yield chunk


def _listed(feed: Callable[[bytes], Iterable[Chunk]], piece: bytes) -> list[Chunk]:
    return list(feed(piece))
