"""Queries for users and for what they did."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Table, delete, func, literal_column, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from app.db.repository import Repository
from app.db.tables import EventRow, UserRow

ROWS_AT_ONCE = 1_000
_INSERTED: ColumnElement[bool] = literal_column("(xmax = 0)")

_WALK = text("""
WITH RECURSIVE walk (user_id) AS (
    SELECT CAST(:after AS text)
    UNION ALL
    SELECT least(
        (SELECT e.user_id FROM events e WHERE e.project_id = :project AND e.user_id > walk.user_id
            ORDER BY e.user_id LIMIT 1),
        (SELECT u.user_id FROM users u WHERE u.project_id = :project AND u.user_id > walk.user_id
            ORDER BY u.user_id LIMIT 1)
    )
    FROM walk WHERE walk.user_id IS NOT NULL
)
SELECT user_id FROM walk WHERE user_id IS NOT NULL LIMIT :limit OFFSET 1
""")
"""From id to id through the indexes: the work grows with the page, not with the events. Ids are never empty."""


@dataclass(frozen=True)
class KnownUser:
    """A user with or without a row."""

    user_id: str
    row: UserRow | None
    last_event_at: datetime | None

    @property
    def exists(self) -> bool:
        """Whether anything is known of the user."""
        return self.row is not None or self.last_event_at is not None


class UserRepository(Repository):
    """The users of one project, and their events."""

    def hold(self, *user_ids: str) -> None:
        """Keep others from merging or erasing these users until the transaction ends."""
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:user_id, :project))")
        for user_id in sorted(set(user_ids)):
            self.session.execute(lock, {"user_id": user_id, "project": self.project})

    def known(self, user_ids: Sequence[str]) -> list[KnownUser]:
        """What is known of these users, in the given order."""
        rows = {
            row.user_id: row
            for row in self.session.scalars(
                select(UserRow).where(UserRow.project_id == self.project, UserRow.user_id.in_(user_ids)),
                execution_options={"populate_existing": True},
            )
        }
        # A look at the end of an index for each, whatever the number of events.
        newest = text("""
            SELECT asked.user_id, (
                SELECT e.timestamp FROM events e WHERE e.project_id = :project AND e.user_id = asked.user_id
                ORDER BY e.timestamp DESC LIMIT 1
            ) FROM unnest(CAST(:user_ids AS text[])) AS asked (user_id)
        """)
        values = {"project": self.project, "user_ids": list(user_ids)}
        last = {user_id: time for user_id, time in self.session.execute(newest, values)}
        return [KnownUser(user_id, rows.get(user_id), last[user_id]) for user_id in user_ids]

    def upsert(self, user_id: str, attributes: Mapping[str, Any]) -> bool:
        """Write all attributes; whether the row is new."""
        statement = insert(UserRow).values(project_id=self.project, user_id=user_id, attributes=dict(attributes))
        query = statement.on_conflict_do_update(
            index_elements=["project_id", "user_id"], set_={"attributes": dict(attributes), "updated_at": func.now()}
        ).returning(_INSERTED)
        return self.session.scalars(query).one()

    def delete(self, user_id: str) -> None:
        """Forget the attributes."""
        self.session.execute(delete(UserRow).where(UserRow.project_id == self.project, UserRow.user_id == user_id))

    def ids_after(self, user_id: str, *, limit: int) -> Sequence[str]:
        """The next users by id, with a row, events, or both."""
        values = {"project": self.project, "after": user_id, "limit": limit}
        return self.session.scalars(_WALK, values).all()

    def history(
        self, user_id: str, *, types: Sequence[str], before: tuple[datetime, int] | None, limit: int
    ) -> Sequence[EventRow]:
        """A user's events, newest first, older than the position `before`."""
        query = select(EventRow).where(*self._events_of(user_id))
        if types:
            query = query.where(EventRow.type.in_(types))
        if before is not None:
            query = query.where(tuple_(EventRow.timestamp, EventRow.id) < before)
        return self.session.scalars(query.order_by(EventRow.timestamp.desc(), EventRow.id.desc()).limit(limit)).all()

    def _events_of(self, user_id: str) -> tuple[ColumnElement[bool], ...]:
        return (EventRow.project_id == self.project, EventRow.user_id == user_id)

    def drop_repeated(self, user_id: str, *, of: str) -> int:
        """Delete a user's events that another one has too, of the same item, type and time; how many."""
        query = text("""
            DELETE FROM events one USING events other
            WHERE one.project_id = :project AND one.user_id = :user_id
                AND other.project_id = :project AND other.user_id = :of
                AND (one.item_id, one.type, one.timestamp) = (other.item_id, other.type, other.timestamp)
        """)
        values = {"project": self.project, "user_id": user_id, "of": of}
        return cast(CursorResult[Any], self.session.execute(query, values)).rowcount

    def move_events(self, user_id: str, *, to: str) -> int:
        """Have a user's events belong to another one; how many."""
        moved = self.session.execute(update(EventRow).where(*self._events_of(user_id)).values(user_id=to))
        return cast(CursorResult[Any], moved).rowcount

    def first_event(self, user_id: str) -> int | None:
        """The lowest number of a user's events."""
        return self.session.scalars(select(func.min(EventRow.id)).where(*self._events_of(user_id))).one()

    def rows_of(self, table: Table, user_id: str) -> Iterator[dict[str, Any]]:
        """A user's rows of one table as JSON, without what every row of the project has; a few at a time."""
        own = [column.name for column in table.columns if column.name not in ("project_id", "user_id")]
        # Names come from the tables of this service, never from a client.
        query = text(
            f"SELECT to_jsonb(own) FROM (SELECT {', '.join(own)} FROM {table.name} "
            f"WHERE project_id = :project AND user_id = :user_id ORDER BY {', '.join(_order(table))}) AS own"
        )
        values = {"project": self.project, "user_id": user_id}
        found = self.session.execute(query, values, execution_options={"yield_per": ROWS_AT_ONCE})
        return (row for (row,) in found)


def _order(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]
