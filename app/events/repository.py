"""Queries for events."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import orjson
from sqlalchemy import BigInteger, cast, extract, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by

from app.core.cursor import MAX_NUMBER
from app.db.repository import Repository
from app.db.tables import EventRow
from app.stores.sequence_state import SeenItem, SequenceEvent, SequenceState

_INSERT = """
WITH inserted AS (
    INSERT INTO events (project_id, event_id, user_id, item_id, type, value, timestamp, recommendation_id)
    SELECT %(project)s, e.event_id, e.user_id, e.item_id, e.type, e.value, e.timestamp, e.recommendation_id
    FROM ROWS FROM (json_to_recordset(CAST(%(events)s AS json)) AS (
        event_id text, user_id text, item_id text, type text, value float8, timestamp timestamptz,
        recommendation_id uuid
    )) WITH ORDINALITY AS e (event_id, user_id, item_id, type, value, timestamp, recommendation_id, position)
    ORDER BY e.position
    ON CONFLICT (project_id, event_id) DO NOTHING
    RETURNING id, event_id
)
SELECT CAST(json_object_agg(event_id, id) AS text) FROM inserted
"""
"""One parameter for all events, and one value for all numbers.

As JSON they are made, sent and read in less time than as an array a column or a row each; and a COPY, which can't leave
out what is there already, would need a table between and two more round trips.
"""


@dataclass(frozen=True)
class NewEvent:
    """A checked event with its identity."""

    event_id: str
    user_id: str
    item_id: str
    type: str
    value: float | None
    timestamp: datetime
    recommendation_id: UUID | None = None

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
        parameters = {"project": self.project, "events": orjson.dumps(events).decode()}
        numbers: str | None = self.session.connection().exec_driver_sql(_INSERT, parameters).scalar_one()
        return orjson.loads(numbers) if numbers else {}

    def newest(self, user_id: str, *, limit: int, through: int = MAX_NUMBER) -> list[SequenceEvent]:
        """A user's newest events, oldest first; of those numbered up to `through`."""
        query = (
            select(EventRow.id, EventRow.item_id, EventRow.timestamp, EventRow.type)
            .where(EventRow.project_id == self.project, EventRow.user_id == user_id, EventRow.id <= through)
            .order_by(EventRow.timestamp.desc(), EventRow.id.desc())
            .limit(limit)
        )
        rows = self.session.execute(query).all()
        return [SequenceEvent(number, item, microseconds(at), type_) for number, item, at, type_ in reversed(rows)]

    def seen_before(self, user_id: str, event: SequenceEvent, *, through: int = MAX_NUMBER) -> list[SeenItem]:
        """What the user's events before this one, in the order of time and number, have to do with, by type."""
        time = datetime.fromtimestamp(event.time_us // 1_000_000, UTC).replace(microsecond=event.time_us % 1_000_000)
        query = (
            select(EventRow.item_id, EventRow.type, func.max(EventRow.timestamp))
            .where(EventRow.project_id == self.project, EventRow.user_id == user_id, EventRow.id <= through)
            .where(tuple_(EventRow.timestamp, EventRow.id) < tuple_(literal(time), literal(event.number)))
            .group_by(EventRow.item_id, EventRow.type)
        )
        return [SeenItem(item_id, type_, microseconds(at)) for item_id, type_, at in self.session.execute(query)]

    def past(self, user_id: str, *, limit: int, through: int = MAX_NUMBER) -> SequenceState:
        """A user's newest events and what older ones have made seen, of those numbered up to `through`."""
        newest = self.newest(user_id, limit=limit, through=through)
        older = self.seen_before(user_id, newest[0], through=through) if 0 < limit == len(newest) else []
        return SequenceState.of(newest, older)

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
