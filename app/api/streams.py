"""Server-sent events: what a job does, as it does it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi.responses import StreamingResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.types import Receive, Scope, Send

from app.core.errors import JobNotFound, TooManyStreams
from app.jobs.schemas import JobRead

EVENT_STREAM = "text/event-stream"
POLL_S = 0.5
HEARTBEAT_S = 15.0
RETRY_AFTER_S = 5
LAST = "end"
"""Id of the event that ends a stream: who comes again with it has seen everything."""


class StreamSlots:
    """How many streams this process serves at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    def take(self) -> None:
        """Raises TooManyStreams when none is free."""
        if self.taken >= self._limit:
            raise TooManyStreams(limit=self._limit, retry_after_s=RETRY_AFTER_S)
        self.taken += 1

    def give_back(self) -> None:
        """The stream is over."""
        self.taken -= 1


class EventStream(StreamingResponse):
    """A response that holds a slot until it is over, however it ends."""

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncIterator[str], slots: StreamSlots) -> None:
        slots.take()
        self._slots = slots
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type=EVENT_STREAM, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._slots.give_back()


async def job_events(
    look: Callable[[], Awaitable[JobRead]],
    *,
    longest_s: float,
    poll_s: float = POLL_S,
    heartbeat_s: float = HEARTBEAT_S,
) -> AsyncIterator[str]:
    """The job as it is, then as it changes, until it has ended; a comment whenever nothing has changed for long.

    Args:
        look: reads the job.
        longest_s: after this long the stream ends, and the client asks again.
        poll_s: seconds between two looks.
        heartbeat_s: seconds of silence before a comment, which keeps the connection open.
    """
    ends = time.monotonic() + longest_s
    number, seen, spoke = 0, None, time.monotonic()
    while True:
        try:
            job = await look()
        except (JobNotFound, OperationalError, PoolTimeout):
            return
        now = time.monotonic()
        if job != seen:
            number += 1
            name = "progress" if seen is not None and job.state == seen.state else "state"
            yield _event(name, LAST if job.state.finished else str(number), job)
            seen, spoke = job, now
        elif now - spoke >= heartbeat_s:
            yield ": still there\n\n"
            spoke = now
        if job.state.finished or now >= ends:
            return
        await asyncio.sleep(poll_s)


def _event(name: str, number: str, job: JobRead) -> str:
    return f"id: {number}\nevent: {name}\ndata: {job.model_dump_json()}\n\n"
