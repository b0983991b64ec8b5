"""The answers of an API process on their way into the database: one append on the hot path, many rows a statement."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import anyio.to_thread
import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.ids import made_at
from app.core.types import ProjectId
from app.db.session import Database
from app.impressions.bounded import BoundedAnswers
from app.impressions.record import AnswerRecord
from app.impressions.repository import AnswerRepository, insert_answers
from app.impressions.rows import encode_answer
from app.telemetry.metrics import ANSWERS_DROPPED, ANSWERS_WAITING

log = structlog.get_logger(__name__)

BATCH = 500
"""Answers in one statement."""
WAITING_ITEMS = 400_000
"""Entries (see `BoundedAnswers`) of the answers that may wait while the database is away; then the oldest are lost."""
RECENT_ITEMS = 50_000
"""Entries of the answers that are remembered though they are in the database."""
RECENT_S = 600.0
"""And for so long: what has been erased from the database is not to live on here."""
RETRY_AT_MOST_S = 5.0
MARGIN_S = 0.5
"""How much longer than a flush interval an answer of another process may take to be seen."""
LOOK_AGAIN_S = 0.1

AWAY = (OperationalError, InterfaceError, PoolTimeout)


class BufferedAnswerLog:
    """Satisfies `AnswerLog`; everything but the writing itself happens on the event loop.

    Args:
        database: takes the answers.
        flush_s: how often they are written.
        waiting_items: entries of the answers that may wait while the database is away; then the oldest are lost.
        recent_items: entries of the answers that are remembered though they are in the database.
    """

    def __init__(
        self,
        database: Database,
        *,
        flush_s: float,
        waiting_items: int = WAITING_ITEMS,
        recent_items: int = RECENT_ITEMS,
    ) -> None:
        self._database = database
        self._flush_s = flush_s
        self._waiting = BoundedAnswers(waiting_items)
        self._recent = BoundedAnswers(recent_items)
        self._stopping = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write at intervals."""
        self._task = asyncio.create_task(self._write_regularly())

    async def stop(self) -> None:
        """Write what waits, and end; what a database that is away does not take is lost."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        if not await self._flush_or_log():
            log.error("answers lost at the end", answers=len(self._waiting))
            ANSWERS_DROPPED.labels("away").inc(len(self._waiting))

    def record(self, answer: AnswerRecord) -> None:
        """Keep the answer; it is durable within the flush interval."""
        self._recent.add(answer)
        # Written down here and not by the thread that sends it: the thread would stand in the way of requests for
        # much longer than this takes while all of it is at hand.
        dropped = self._waiting.add(answer, _row_of(answer))
        if dropped:
            ANSWERS_DROPPED.labels("away").inc(dropped)

    async def find(self, project: ProjectId, answer_id: UUID) -> AnswerRecord | None:
        """The answer; waits for one that is so new that another process may not have written it yet."""
        found = self._recent.get(answer_id) or self._waiting.get(answer_id)
        if found is not None:
            return found if found.project == project else None
        until = time.monotonic() + self._may_still_come_s(answer_id)
        while (found := await anyio.to_thread.run_sync(self._read, project, answer_id)) is None:
            if time.monotonic() >= until:
                return None
            await asyncio.sleep(LOOK_AGAIN_S)
        return found

    async def settle(self, project: ProjectId, answer_id: UUID) -> None:
        """Return when the answer is in the database, or when it will not come any more."""
        if self._waiting.get(answer_id) is not None:
            await self.flush()
        elif self._recent.get(answer_id) is None:
            await self.find(project, answer_id)

    async def forget(self, project: ProjectId, user_id: str) -> None:
        """Remember no answer to a user; once this returns, none of those given before it will be written any more."""
        self._recent.drop_of(project, user_id)
        self._waiting.drop_of(project, user_id)
        async with self._writing:
            return

    def _may_still_come_s(self, answer_id: UUID) -> float:
        """How long it makes sense to wait for an answer, by the time that its id holds."""
        longest = self._flush_s + MARGIN_S
        if answer_id.version != 7:
            return 0
        return min(longest, longest + made_at(answer_id) - time.time())

    def _read(self, project: ProjectId, answer_id: UUID) -> AnswerRecord | None:
        with self._database.transaction() as transaction:
            return AnswerRepository(transaction, project).find(answer_id)

    async def flush(self) -> None:
        """Write everything that waits.

        Raises:
            SQLAlchemyError: one of `AWAY`; what was not written waits on.
        """
        async with self._writing:
            while batch := self._waiting.oldest(BATCH):
                rows = [self._waiting.row(answer) for answer in batch]
                await anyio.to_thread.run_sync(self._write, batch, rows)
                self._waiting.discard(batch)
                ANSWERS_WAITING.set(len(self._waiting))

    async def _write_regularly(self) -> None:
        pause_s = self._flush_s
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            self._recent.drop_before(time.time() - RECENT_S)
            pause_s = self._flush_s if await self._flush_or_log() else min(2 * pause_s, RETRY_AT_MOST_S)

    async def _flush_or_log(self) -> bool:
        try:
            await self.flush()
        except Exception as error:
            # The outermost frame of a background task: whatever it was, the next attempt may succeed.
            ANSWERS_WAITING.set(len(self._waiting))
            log.warning("answers not written, they wait", answers=len(self._waiting), error=type(error).__name__)
            return False
        return True

    def _write(self, batch: Sequence[AnswerRecord], rows: Sequence[bytes | None]) -> None:
        pairs = [(answer, row) for answer, row in zip(batch, rows, strict=True) if row is not None]
        for answer in (answer for answer, row in zip(batch, rows, strict=True) if row is None):
            _refuse(answer, "TypeError")
        try:
            self._insert(pairs)
        except AWAY:
            raise
        except DBAPIError:
            # One that cannot be stored must not take the others with it.
            for pair in pairs:
                self._write_alone(pair)

    def _write_alone(self, pair: tuple[AnswerRecord, bytes]) -> None:
        try:
            self._insert([pair])
        except AWAY:
            raise
        except DBAPIError as error:
            _refuse(pair[0], type(error).__name__)

    def _insert(self, pairs: Sequence[tuple[AnswerRecord, bytes]]) -> None:
        if pairs:
            answers, rows = zip(*pairs, strict=True)
            with self._database.transaction() as transaction:
                insert_answers(transaction, answers, rows)


def _row_of(answer: AnswerRecord) -> bytes | None:
    """The answer as it is written; None for one that is not JSON."""
    try:
        return encode_answer(answer)
    except TypeError:
        return None


def _refuse(answer: AnswerRecord, error: str) -> None:
    ANSWERS_DROPPED.labels("invalid").inc()
    log.error("answer not kept", answer=str(answer.id), project=answer.project, error=error)
