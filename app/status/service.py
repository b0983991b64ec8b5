"""Counts what a project holds."""

from sqlalchemy import func, select

from app.core.types import ItemState, JobState, ProjectId
from app.db.session import Transaction
from app.db.tables import ItemRow, MediaRow, ProjectRow
from app.events.repository import EventRepository
from app.jobs.repository import JobRepository
from app.models.repository import ModelRepository
from app.status.schemas import Status


class StatusService:
    """Counts of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        self._transaction = transaction
        self._project = project

    def read(self) -> Status:
        """Everything at once."""
        session = self._transaction.session
        events, users = EventRepository(self._transaction, self._project).counts()
        live = ModelRepository(self._transaction, self._project).live()
        jobs = JobRepository(self._transaction).count_open(self._project)
        return Status(
            project=session.scalars(select(ProjectRow.name).where(ProjectRow.id == self._project)).one(),
            items=self._items(),
            media=self._media(),
            events=events,
            users=users,
            live_model=live.name if live else None,
            jobs={state: jobs.get(state, 0) for state in (JobState.QUEUED, JobState.RUNNING)},
        )

    def _items(self) -> dict[str, int]:
        query = (
            select(ItemRow.state, func.count())
            .where(ItemRow.project_id == self._project, ItemRow.deleted_at.is_(None))
            .group_by(ItemRow.state)
        )
        found: dict[str, int] = {state: count for state, count in self._transaction.session.execute(query)}
        counts = {state.value: found.get(state, 0) for state in ItemState}
        return {**counts, "total": sum(counts.values())}

    def _media(self) -> dict[str, dict[str, int]]:
        query = (
            select(MediaRow.modality, MediaRow.state, func.count())
            .where(MediaRow.project_id == self._project)
            .group_by(MediaRow.modality, MediaRow.state)
        )
        counts: dict[str, dict[str, int]] = {}
        for modality, state, count in self._transaction.session.execute(query):
            counts.setdefault(modality, {})[state] = count
        return counts
