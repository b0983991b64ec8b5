"""Queries for media that items name by their address."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from app.core.types import FetchState, JobState
from app.db.repository import Repository
from app.db.tables import JobRow, MediaFetchRow

MAX_ERROR_CHARACTERS = 500


class WantedMedium(NamedTuple):
    """An address named for one modality of an item."""

    item_pk: int
    modality: str
    url: str


@dataclass(frozen=True)
class Fetch:
    """An address that a job has taken on."""

    id: int
    item_pk: int
    modality: str
    url: str
    attempts: int


class MediaFetchRepository(Repository):
    """The addresses of one project's items; whoever writes holds the items."""

    def want(self, wanted: Iterable[WantedMedium], *, again: bool = False) -> bool:
        """Note addresses; whether one of them has to be fetched.

        Args:
            wanted: at most one for each modality of an item.
            again: fetch also what has been fetched from this very address; what has failed is always tried again.
        """
        values = [
            {"project_id": self.project, **medium._asdict()}
            for medium in sorted(wanted, key=lambda medium: (medium.item_pk, medium.modality))
        ]
        if not values:
            return False
        statement = insert(MediaFetchRow).values(values)
        new = statement.excluded.url != MediaFetchRow.url
        fresh = {"state": FetchState.PENDING, "attempts": 0, "next_at": func.now(), "error": None, "claimed_by": None}
        query = statement.on_conflict_do_update(
            index_elements=["item_pk", "modality"],
            set_={"url": statement.excluded.url, **fresh},
            where=None if again else or_(new, MediaFetchRow.state == FetchState.FAILED),
        )
        return bool(self.session.execute(query.returning(MediaFetchRow.id)).all())

    def of(self, pks: Collection[int]) -> Mapping[int, dict[str, MediaFetchRow]]:
        """The addresses of items, by modality."""
        found: dict[int, dict[str, MediaFetchRow]] = {pk: {} for pk in pks}
        query = select(MediaFetchRow).where(MediaFetchRow.item_pk.in_(pks)).order_by(MediaFetchRow.id)
        for row in self.session.scalars(query, execution_options={"populate_existing": True}):
            found[row.item_pk][row.modality] = row
        return found

    def forget(self, media: Collection[tuple[int, str]]) -> None:
        """Drop addresses that something else has taken the place of."""
        if media:
            pair = tuple_(MediaFetchRow.item_pk, MediaFetchRow.modality)
            self.session.execute(delete(MediaFetchRow).where(pair.in_(media)))

    def forget_item(self, item_pk: int) -> None:
        """Drop all addresses of an item."""
        self.session.execute(delete(MediaFetchRow).where(MediaFetchRow.item_pk == item_pk))

    def claim(self, *, job: UUID, limit: int) -> Sequence[Fetch]:
        """Take what is due and held by no running job."""
        held = exists().where(JobRow.id == MediaFetchRow.claimed_by, JobRow.state == JobState.RUNNING)
        due = (
            select(MediaFetchRow.id)
            .where(
                MediaFetchRow.project_id == self.project,
                MediaFetchRow.state == FetchState.PENDING,
                MediaFetchRow.next_at <= func.now(),
                ~held,
            )
            .order_by(MediaFetchRow.next_at, MediaFetchRow.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        columns = (
            MediaFetchRow.id,
            MediaFetchRow.item_pk,
            MediaFetchRow.modality,
            MediaFetchRow.url,
            MediaFetchRow.attempts,
        )
        query = (
            update(MediaFetchRow)
            .where(MediaFetchRow.id.in_(due.scalar_subquery()))
            .values(claimed_by=job, attempts=MediaFetchRow.attempts + 1)
            .returning(*columns)
        )
        return [Fetch(*row) for row in self.session.execute(query)]

    def lock(self, fetch: Fetch, *, job: UUID) -> bool:
        """Whether the job's claim still stands; if so it does until the transaction ends. The item comes first."""
        query = select(MediaFetchRow.id).where(*_claimed(fetch, job)).with_for_update()
        return self.session.scalars(query).one_or_none() is not None

    def release(self, fetches: Iterable[Fetch], *, job: UUID) -> None:
        """Give claims back untried."""
        ids = [fetch.id for fetch in fetches]
        self.session.execute(
            update(MediaFetchRow)
            .where(MediaFetchRow.id.in_(ids), MediaFetchRow.claimed_by == job)
            .values(claimed_by=None, attempts=MediaFetchRow.attempts - 1)
        )

    def conclude(self, fetch: Fetch, *, job: UUID, error: str | None = None, retry_s: float | None = None) -> None:
        """Say how an attempt has ended: fetched without an error, tried again after `retry_s`, or else given up."""
        state = FetchState.FETCHED if error is None else FetchState.FAILED if retry_s is None else FetchState.PENDING
        values: dict[str, Any] = {"state": state, "error": error and error[:MAX_ERROR_CHARACTERS], "claimed_by": None}
        if retry_s is not None:
            values["next_at"] = func.now() + timedelta(seconds=retry_s)
        self.session.execute(update(MediaFetchRow).where(*_claimed(fetch, job)).values(**values))


def _claimed(fetch: Fetch, job: UUID) -> tuple[ColumnElement[bool], ...]:
    """A claim that nothing has been put in the place of."""
    return (MediaFetchRow.id == fetch.id, MediaFetchRow.claimed_by == job, MediaFetchRow.url == fetch.url)
