"""Queries for jobs; every change of state is guarded by the state it starts from."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.jobs import Job, JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Transaction
from app.db.tables import JobRow
from app.telemetry.tracing import carrier


def _ago(seconds: float) -> ColumnElement[Any]:
    return func.now() - timedelta(seconds=seconds)


class JobRepository:
    """Jobs of every project; callers that act for a client pass its project."""

    def __init__(self, transaction: Transaction) -> None:
        self._session = transaction.session

    def add(self, project: ProjectId, kind: JobKind, payload: Mapping[str, Any]) -> JobRow:
        """A new queued job."""
        row = JobRow(
            id=uuid4(),
            project_id=project,
            kind=kind,
            payload=dict(payload),
            trace=carrier() or None,
            sent_at=func.now(),
        )
        self._session.add(row)
        self._session.flush()
        self._session.refresh(row)
        return row

    def add_waiting(self, project: ProjectId, kind: JobKind, *, sent: bool = True) -> Job | None:
        """Make sure that one job of a coalescing kind waits; the job if it is new, None if one waits already.

        `sent` says that its message will leave after the commit; otherwise the sweeper sends it.

        The share lock holds off the worker's claim until this transaction has committed, so the waiting job
        is sure to see what this transaction wrote.
        """
        waiting = (
            select(JobRow.id)
            .where(JobRow.project_id == project, JobRow.kind == kind, JobRow.state == JobState.QUEUED)
            .with_for_update(read=True)
        )
        new = (
            insert(JobRow)
            .values(
                id=uuid4(), project_id=project, kind=kind, trace=carrier() or None, sent_at=func.now() if sent else None
            )
            .on_conflict_do_nothing()
            .returning(JobRow.id)
        )
        while self._session.scalars(waiting).first() is None:
            job_id = self._session.scalars(new).one_or_none()
            if job_id is not None:
                return Job(job_id, kind)
        return None

    def claim(self, job_id: UUID) -> JobRow | None:
        """Turn a queued job into this worker's running one; None if somebody else has it or it is over."""
        query = (
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.state == JobState.QUEUED)
            .values(
                state=JobState.RUNNING,
                attempts=JobRow.attempts + 1,
                started_at=func.now(),
                heartbeat_at=func.now(),
                error=None,
            )
            .returning(JobRow)
        )
        return self._session.scalars(query).one_or_none()

    def beat(self, job_id: UUID, attempt: int) -> bool | None:
        """Say that the attempt lives; whether it shall be cancelled, or None when it no longer owns the job."""
        query = (
            update(JobRow)
            .where(*_owned(job_id, attempt))
            .values(heartbeat_at=func.now())
            .returning(JobRow.cancel_requested)
        )
        return self._session.scalars(query).one_or_none()

    def record_progress(self, job_id: UUID, attempt: int, progress: Mapping[str, Any]) -> bool:
        """Replace the progress of a running attempt; False when it no longer owns the job."""
        query = update(JobRow).where(*_owned(job_id, attempt)).values(progress=dict(progress)).returning(JobRow.id)
        return self._session.scalars(query).one_or_none() is not None

    def finish(
        self,
        job_id: UUID,
        attempt: int,
        state: JobState,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> bool:
        """End a running attempt; False when it no longer owns the job."""
        query = (
            update(JobRow)
            .where(*_owned(job_id, attempt))
            .values(state=state, result=result and dict(result), error=error, finished_at=func.now())
            .returning(JobRow.id)
        )
        return self._session.scalars(query).one_or_none() is not None

    def release(self, job_id: UUID, attempt: int, *, keep_progress: bool = False) -> None:
        """Give a running attempt back unharmed, as if it had not begun; the sweeper sends it."""
        query = (
            update(JobRow)
            .where(*_owned(job_id, attempt))
            .values(state=JobState.QUEUED, attempts=JobRow.attempts - 1, sent_at=None)
        )
        self._session.execute(query if keep_progress else query.values(progress=None))

    def cancel(self, project: ProjectId, job_id: UUID) -> JobRow | None:
        """Cancel at once what waits, ask what runs to stop; the row, or None if there is no such job."""
        waiting = and_(JobRow.project_id == project, JobRow.id == job_id, JobRow.state == JobState.QUEUED)
        self._session.execute(update(JobRow).where(waiting).values(state=JobState.CANCELLED, finished_at=func.now()))
        running = and_(JobRow.project_id == project, JobRow.id == job_id, JobRow.state == JobState.RUNNING)
        self._session.execute(update(JobRow).where(running).values(cancel_requested=True))
        return self.get(project, job_id)

    def get(self, project: ProjectId, job_id: UUID) -> JobRow | None:
        """One job of a project."""
        query = select(JobRow).where(JobRow.project_id == project, JobRow.id == job_id)
        return self._session.scalars(query, execution_options={"populate_existing": True}).one_or_none()

    def page(self, project: ProjectId, kind: JobKind, *, limit: int, before: UUID | None) -> Sequence[JobRow]:
        """The newest jobs of a kind, older than the job `before`."""
        query = select(JobRow).where(JobRow.project_id == project, JobRow.kind == kind)
        if before is not None:
            anchor = select(JobRow.created_at, JobRow.id).where(JobRow.id == before).subquery()
            query = query.where(
                or_(
                    JobRow.created_at < select(anchor.c.created_at).scalar_subquery(),
                    and_(JobRow.created_at == select(anchor.c.created_at).scalar_subquery(), JobRow.id < before),
                )
            )
        return self._session.scalars(query.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(limit)).all()

    def forget_finished(self, kinds: Sequence[JobKind], *, older_s: float) -> None:
        """Delete ended jobs that nobody asks for any more."""
        self._session.execute(delete(JobRow).where(JobRow.kind.in_(kinds), JobRow.finished_at < _ago(older_s)))

    def open_ids(self, kind: JobKind) -> Sequence[UUID]:
        """The jobs of a kind that wait or run, of every project."""
        query = select(JobRow.id).where(JobRow.kind == kind, JobRow.state.in_([JobState.QUEUED, JobState.RUNNING]))
        return self._session.scalars(query).all()

    def count_open(self, project: ProjectId) -> Mapping[str, int]:
        """How many jobs wait and run."""
        query = (
            select(JobRow.state, func.count())
            .where(JobRow.project_id == project, JobRow.state.in_([JobState.QUEUED, JobState.RUNNING]))
            .group_by(JobRow.state)
        )
        return {state: count for state, count in self._session.execute(query)}

    def take_stale(self, stale_s: float) -> Sequence[JobRow]:
        """Running jobs whose worker has been silent, locked for this transaction."""
        query = (
            select(JobRow)
            .where(JobRow.state == JobState.RUNNING, JobRow.heartbeat_at < _ago(stale_s))
            .with_for_update(skip_locked=True)
        )
        return self._session.scalars(query).all()

    def take_unsent(self, resend_s: float) -> Sequence[Job]:
        """Waiting jobs whose message is older than `resend_s` or was never sent; stamped as sent now."""
        query = (
            update(JobRow)
            .where(
                JobRow.state == JobState.QUEUED,
                or_(JobRow.sent_at.is_(None), JobRow.sent_at < _ago(resend_s)),
            )
            .values(sent_at=func.now())
            .returning(JobRow.id, JobRow.kind)
        )
        return [Job(job_id, JobKind(kind)) for job_id, kind in self._session.execute(query)]


def _owned(job_id: UUID, attempt: int) -> tuple[ColumnElement[bool], ...]:
    """The condition that a running attempt is still the owner of its row."""
    return (JobRow.id == job_id, JobRow.state == JobState.RUNNING, JobRow.attempts == attempt)
