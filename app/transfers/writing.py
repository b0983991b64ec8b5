"""Writes lines: a chunk of them in one transaction, with an answer for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError

from app.core.types import ProjectId
from app.db.session import Database, Transaction
from app.events.schemas import EventStatus
from app.events.service import EventService
from app.items.batch import ItemBatchService, ItemStatus
from app.items.intake import MediaIntake
from app.jobs.service import JobService
from app.stores.changes import ChangeFeed
from app.stores.queue import JobQueue
from app.stores.sequence_cache import SequenceWriter
from app.transfers.decoding import Line
from app.transfers.kinds import TransferKind
from app.transfers.results import LineResult, LineStatus

CHUNK_LINES = 500
CHUNK_BYTES = 8 << 20
"""A chunk is full at the first of the two."""
DEADLOCK_RETRIES = 3

_OF_ITEM = {
    ItemStatus.CREATED: LineStatus.CREATED,
    ItemStatus.UPDATED: LineStatus.UPDATED,
    ItemStatus.REJECTED: LineStatus.REJECTED,
}
_OF_EVENT = {
    EventStatus.ACCEPTED: LineStatus.ACCEPTED,
    EventStatus.DUPLICATE: LineStatus.DUPLICATE,
    EventStatus.REJECTED: LineStatus.REJECTED,
}


Answer = tuple[LineStatus, str | None, Sequence[Any] | None]
"""Status, id and errors of a value."""
Also = Callable[[Transaction, Sequence[LineResult]], None]


@dataclass(frozen=True)
class WritingParts:
    """What writing needs besides lines."""

    database: Database
    intake: MediaIntake
    queue: JobQueue
    changes: ChangeFeed
    sequences: SequenceWriter


class LineWriter:
    """Writes lines of one project.

    Args:
        parts: database and stores.
        project: whose.
        kind: what a line is.
    """

    def __init__(self, parts: WritingParts, project: ProjectId, kind: TransferKind) -> None:
        self._parts = parts
        self._project = project
        self._kind = kind

    def write(self, lines: Sequence[Line], *, also: Also | None = None) -> list[LineResult]:
        """Store what can be stored, in one transaction; the answers in order.

        What the database refuses although it has been checked is found by writing each line alone: it harms no other.

        Args:
            lines: a chunk.
            also: what belongs to the same transaction.
        """
        try:
            return self._write(lines, also)
        except OperationalError:
            raise
        except StatementError as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise
        results = [self._write_alone(line) for line in lines]
        if also is not None:
            with self._parts.database.transaction() as transaction:
                also(transaction, results)
        return results

    def _write_alone(self, line: Line) -> LineResult:
        try:
            return self._write([line], None)[0]
        except OperationalError:
            raise
        except StatementError:
            return _rejected(line.number, "cannot be stored")

    def _write(self, lines: Sequence[Line], also: Also | None) -> list[LineResult]:
        for _ in range(DEADLOCK_RETRIES):
            try:
                return self._write_once(lines, also)
            except OperationalError as error:
                if not isinstance(error.orig, DeadlockDetected):
                    raise
        return self._write_once(lines, also)

    def _write_once(self, lines: Sequence[Line], also: Also | None) -> list[LineResult]:
        values = [line.value for line in lines if line.error is None]
        with self._parts.database.transaction() as transaction:
            answers = iter(self._answers(transaction, values) if values else ())
            results = [
                LineResult(line.number, *next(answers)) if line.error is None else _rejected(line.number, line.error)
                for line in lines
            ]
            if also is not None:
                also(transaction, results)
        return results

    def _answers(self, transaction: Transaction, values: Sequence[Any]) -> list[Answer]:
        parts = self._parts
        if self._kind is TransferKind.EVENTS:
            events = EventService(transaction, self._project, sequences=parts.sequences)
            return [(_OF_EVENT[one.status], one.event_id, one.errors) for one in events.record(values).results]
        items = ItemBatchService(
            transaction,
            self._project,
            jobs=JobService(transaction, parts.queue),
            intake=parts.intake,
            changes=parts.changes,
        )
        return [(_OF_ITEM[one.status], one.item_id, one.errors or None) for one in items.write(values)]


def _rejected(number: int, reason: str) -> LineResult:
    """The answer to a line that is no value at all."""
    return LineResult(number, LineStatus.REJECTED, errors=[{"field": "line", "message": reason}])
