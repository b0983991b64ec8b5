"""Queries for events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, cast, extract, func, select, text
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.db.repository import Repository
from app.db.tables import EventRow
from app.stores.sequence_cache import SequenceEvent

_INSERT = text("""
INSERT INTO events (project_id, event_id, user_id, item_id, type, value, timestamp)
SELECT :project, e.event_id, e.user_id, e.item_id, e.type, e.value, e.timestamp
FROM unnest(
    CAST(:event_id AS text[]), CAST(:user_id AS text[]), CAST(:item_id AS text[]),
    CAST(:type AS text[]), CAST(:value AS float8[]), CAST(:timestamp AS timestamptz[])
) WITH ORDINALITY AS e (event_id, user_id, item_id, type, value, timestamp, position)
ORDER BY e.position
ON CONFLICT (project_id, event_id) DO NOTHING
RETURNING id, event_id
""")

COLUMNS = ("event_id", "user_id", "item_id", "type", "value", "timestamp")


@dataclass(frozen=True)
class NewEvent:
    """A checked event with its identity."""

    event_id: str
    user_id: str
    item_id: str
    type: str
    value: float | None
    timestamp: datetime

    @property
    def time_us(self) -> int:
        """Microseconds since 1970, exactly as PostgreSQL keeps the time."""
        return microseconds(self.timestamp)


@dataclass(frozen=True)
class UserSequence:
    """All events of a user in the order of time; `times_s` are whole seconds since 1970, `last` the newest exactly."""

    user_id: str
    item_ids: Sequence[str]
    times_s: Sequence[int]
    last: datetime


def microseconds(time: datetime) -> int:
    """Whole microseconds since 1970."""
    return int(time.timestamp()) * 1_000_000 + time.microsecond


class EventRepository(Repository):
    """The events of one project."""

    def insert(self, events: Sequence[NewEvent]) -> Mapping[str, int]:
        """Store those that are new, in the given order; their numbers by event id."""
        arrays: dict[str, Any] = {column: [getattr(event, column) for event in events] for column in COLUMNS}
        inserted = self.session.execute(_INSERT, {"project": self.project, **arrays})
        return {event_id: number for number, event_id in inserted}

    def newest(self, user_id: str, *, limit: int) -> list[SequenceEvent]:
        """A user's newest events, oldest first."""
        query = (
            select(EventRow.id, EventRow.item_id, EventRow.timestamp)
            .where(EventRow.project_id == self.project, EventRow.user_id == user_id)
            .order_by(EventRow.timestamp.desc(), EventRow.id.desc())
            .limit(limit)
        )
        rows = self.session.execute(query).all()
        return [SequenceEvent(number, item_id, microseconds(time)) for number, item_id, time in reversed(rows)]

    def counts(self) -> tuple[int, int]:
        """Events, and users that have any."""
        query = select(func.count(), func.count(EventRow.user_id.distinct())).where(EventRow.project_id == self.project)
        events, users = self.session.execute(query).one()
        return events, users

    def newest_number(self) -> int:
        """The number of the event stored last, 0 if there is none: the cut of a training."""
        query = select(func.coalesce(func.max(EventRow.id), 0)).where(EventRow.project_id == self.project)
        return self.session.scalars(query).one()

    def sequences(self, *, until: int, fetch: int = 500) -> Iterator[UserSequence]:
        """Every user's events numbered up to `until`."""
        seconds = cast(func.floor(extract("epoch", EventRow.timestamp)), BigInteger)
        items, times = (
            func.array_agg(aggregate_order_by(column, EventRow.timestamp, EventRow.id))
            for column in (EventRow.item_id, seconds)
        )
        query = (
            select(EventRow.user_id, items, times, func.max(EventRow.timestamp))
            .where(EventRow.project_id == self.project, EventRow.id <= until)
            .group_by(EventRow.user_id)
            .order_by(EventRow.user_id)
            .execution_options(yield_per=fetch)
        )
        for user_id, item_ids, times_s, last in self.session.execute(query):
            yield UserSequence(user_id, item_ids, times_s, last)
