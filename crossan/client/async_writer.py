"""Sends events in batches from a task of its own."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from crossan.client.async_client import AsyncClient
from crossan.client.errors import ClientError, EventsUnsent
from crossan.client.outbox import Batch, Outbox
from crossan.client.policy import WriterPolicy, log_rejected
from crossan.client.retries import RetryPolicy
from crossan.client.shelf import Shelf, default_folder
from crossan.client.types import AnyEvent

log = logging.getLogger(__name__)


class AsyncEventWriter:
    """`EventWriter` for one event loop, for use in `async with`: the end of the block sends what is left.

    Args:
        client: connection to the service; it is not closed.
        journal: folder for events that wait; without it only those are written down that are left at the end.
        policy: sizes and times.
    """

    def __init__(self, client: AsyncClient, *, journal: Path | None = None, policy: WriterPolicy | None = None) -> None:
        self._client = client
        self._policy = policy or WriterPolicy()
        self._shelf = Shelf(journal or default_folder(), client.identity)
        self._outbox = Outbox(self._shelf, journal=journal is not None, max_batch=self._policy.max_batch)
        self._changed = asyncio.Condition()
        self._flushing = self._closing = False
        self._trouble: ClientError | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send what is left."""
        await self.close()

    async def write(self, event: AnyEvent) -> None:
        """Take one event; waits while `max_waiting` others wait.

        Raises:
            RuntimeError: the writer is closed.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._closing or self._outbox.count < self._policy.max_waiting)
            if self._closing:
                raise RuntimeError("The writer is closed.")
            self._outbox.put(event)
            self._changed.notify_all()

    async def flush(self, timeout_s: float | None = None) -> None:
        """Wait until everything has arrived; raises the last trouble, or TimeoutError, after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                self._flushing = True
                self._changed.notify_all()
                await self._changed.wait_for(lambda: not self._outbox.count)
        except TimeoutError:
            raise self._trouble or TimeoutError(f"{self._outbox.count} events still wait.") from None

    async def close(self) -> None:
        """Send what is left, for at most `exit_timeout_s`; raises EventsUnsent for what had to be put on disk."""
        async with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=self._policy.exit_timeout_s)
            self._task.cancel()
        if unsent := self._outbox.keep():
            raise EventsUnsent(unsent, self._shelf.folder, str(self._trouble or "no time left"))

    async def _run(self) -> None:
        failures = 0
        while (batch := await self._next()) is not None:
            last_chance = self._closing
            try:
                report = await self._client.send_events(batch.events)
            except ClientError as error:
                failures += 1
                await self._note(error)
                if last_chance:
                    return
                await self._pause(RetryPolicy().pause_s(failures))
                continue
            failures = 0
            log_rejected(batch.events, report)
            async with self._changed:
                self._outbox.done(batch)
                self._trouble = None
                self._changed.notify_all()

    async def _next(self) -> Batch | None:
        """The next batch that is due; None when there is nothing more to do."""
        async with self._changed:
            while True:
                due = self._outbox.due(self._policy.max_delay_s)
                if due is None:
                    self._flushing = False
                    if self._closing:
                        return None
                elif due <= 0 or self._flushing or self._closing:
                    return self._outbox.first()
                await self._wait(due)

    async def _wait(self, seconds: float | None) -> None:
        """Until something changes, or so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _note(self, error: ClientError) -> None:
        log.warning("events not sent yet: %s", error)
        async with self._changed:
            self._trouble = error
            self._changed.notify_all()

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt, unless the writer ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._closing)
