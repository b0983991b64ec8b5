"""Queries for schedules, and what their conditions count."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, or_, select

from app.core.types import ProjectId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import EventRow, ItemRow, ProjectRow, ScheduleRow


class ScheduleRepository(Repository):
    """The schedules of one project."""

    def hold_project(self) -> None:
        """Nobody else adds a schedule until the transaction ends."""
        key = func.hashtextextended(f"crossan:schedules:{self.project}", 0)
        self.session.execute(select(func.pg_advisory_xact_lock(key)))

    def all(self) -> Sequence[ScheduleRow]:
        """Every schedule, by name."""
        query = select(ScheduleRow).where(ScheduleRow.project_id == self.project).order_by(ScheduleRow.name)
        return self.session.scalars(query).all()

    def get(self, name: str, *, lock: bool = False) -> ScheduleRow | None:
        """One schedule."""
        query = select(ScheduleRow).where(ScheduleRow.project_id == self.project, ScheduleRow.name == name)
        return self.session.scalars(query.with_for_update() if lock else query).one_or_none()

    def add(self, row: ScheduleRow) -> None:
        """Insert it."""
        self.session.add(row)
        self.session.flush()
        self.session.refresh(row)

    def delete(self, name: str) -> bool:
        """Remove it; whether it was there."""
        query = delete(ScheduleRow).where(ScheduleRow.project_id == self.project, ScheduleRow.name == name)
        return self.session.scalars(query.returning(ScheduleRow.id)).one_or_none() is not None

    def newest_event(self) -> int:
        """Number of the event that was stored last."""
        query = select(func.max(EventRow.id)).where(EventRow.project_id == self.project)
        return self.session.scalars(query).one() or 0

    def newest_item(self) -> int:
        """Number of the item that came last."""
        query = select(func.max(ItemRow.id)).where(ItemRow.project_id == self.project)
        return self.session.scalars(query).one() or 0

    def has_events(self, *, past: int, count: int) -> bool:
        """Whether so many events have a number past `past`; no more are counted than it takes."""
        found = select(EventRow.id).where(EventRow.project_id == self.project, EventRow.id > past).limit(count)
        return self.session.scalars(select(func.count()).select_from(found.subquery())).one() >= count

    def has_items(self, *, past: int, count: int) -> bool:
        """Whether so many items, not deleted, have a number past `past`."""
        found = (
            select(ItemRow.id)
            .where(ItemRow.project_id == self.project, ItemRow.id > past, ItemRow.deleted_at.is_(None))
            .limit(count)
        )
        return self.session.scalars(select(func.count()).select_from(found.subquery())).one() >= count


def due_schedules(transaction: Transaction, *, now: datetime, check_s: float) -> Sequence[int]:
    """Numbers of schedules of every project whose time has come, or whose conditions are to be looked at again."""
    return transaction.session.scalars(select(ScheduleRow.id).where(_due(now, check_s)).order_by(ScheduleRow.id)).all()


def lock_due(transaction: Transaction, schedule: int, *, now: datetime, check_s: float) -> ScheduleRow | None:
    """The schedule, held until the transaction ends; None if another has it, or has looked at it since."""
    query = select(ScheduleRow).where(ScheduleRow.id == schedule, _due(now, check_s))
    return transaction.session.scalars(query.with_for_update(skip_locked=True)).one_or_none()


def _due(now: datetime, check_s: float) -> ColumnElement[bool]:
    looked_at = ScheduleRow.checked_at <= now - timedelta(seconds=check_s)
    return or_(ScheduleRow.next_at <= now, and_(ScheduleRow.triggers.is_not(None), looked_at))


def all_projects(transaction: Transaction) -> Sequence[ProjectId]:
    """Every project."""
    return [
        ProjectId(project) for project in transaction.session.scalars(select(ProjectRow.id).order_by(ProjectRow.id))
    ]
