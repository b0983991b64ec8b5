"""What clients do with schedules."""

from datetime import UTC, datetime

from sqlalchemy import func

from app.core.errors import InvalidRequest, ScheduleNotFound
from app.core.types import JobState, ProjectId
from app.db.session import Transaction
from app.db.tables import ScheduleRow
from app.jobs.repository import JobRepository
from app.lifecycle.cron import CronError, parse_cron
from app.lifecycle.repository import ScheduleRepository
from app.lifecycle.schemas import LastRun, ScheduledTraining, ScheduleRead, ScheduleWrite
from app.training.service import check_order

MAX_SCHEDULES = 50


class ScheduleService:
    """The schedules of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        self._transaction = transaction
        self._project = project
        self._schedules = ScheduleRepository(transaction, project)
        self._jobs = JobRepository(transaction)

    def put(self, name: str, order: ScheduleWrite) -> tuple[ScheduleRead, bool]:
        """Make a schedule or replace it, and whether it is new. What it counts goes on when it is replaced.

        Raises:
            InvalidRequest: naming the field that is wrong, or for one schedule too many.
        """
        next_at = _next_time(order.cron)
        check_order(order.training.method, order.training.hyperparameters, within="training.")
        self._schedules.hold_project()
        row = self._schedules.get(name, lock=True)
        created = row is None
        if row is None:
            row = self._new(name)
        row.cron, row.next_at = order.cron, next_at
        row.triggers = order.triggers.model_dump(mode="json", exclude_none=True) if order.triggers else None
        row.training = order.training.model_dump(mode="json")
        row.updated_at = func.now()
        self._schedules.add(row)
        return self._read(row), created

    def _new(self, name: str) -> ScheduleRow:
        if len(self._schedules.all()) >= MAX_SCHEDULES:
            raise InvalidRequest.of("name", f"a project has at most {MAX_SCHEDULES} schedules", limit=MAX_SCHEDULES)
        return ScheduleRow(
            project_id=self._project,
            name=name,
            events_mark=self._schedules.newest_event(),
            items_mark=self._schedules.newest_item(),
        )

    def get(self, name: str) -> ScheduleRead:
        """One schedule; raises ScheduleNotFound."""
        row = self._schedules.get(name)
        if row is None:
            raise ScheduleNotFound(name)
        return self._read(row)

    def list_schedules(self) -> list[ScheduleRead]:
        """Every schedule, by name."""
        return [self._read(row) for row in self._schedules.all()]

    def delete(self, name: str) -> None:
        """Remove it; a training that it has ordered goes on. Raises ScheduleNotFound."""
        if not self._schedules.delete(name):
            raise ScheduleNotFound(name)

    def _read(self, row: ScheduleRow) -> ScheduleRead:
        return ScheduleRead(
            name=row.name,
            cron=row.cron,
            triggers=row.triggers,
            training=ScheduledTraining(**row.training),
            next_run=row.next_at,
            last=self._last(row),
            created_at=row.created_at,
            updated_at=row.updated_at,
        )

    def _last(self, row: ScheduleRow) -> LastRun | None:
        if row.last_job_id is None:
            return None
        job = self._jobs.get(self._project, row.last_job_id)
        return LastRun(
            training_id=row.last_job_id,
            reason=row.last_reason or "",
            state=JobState(job.state) if job else None,
            model_version=(job.result or {}).get("model_version") if job else None,
            error=job.error if job else None,
            finished_at=job.finished_at if job else None,
        )


def _next_time(cron: str | None) -> datetime | None:
    try:
        return parse_cron(cron).next_after(datetime.now(UTC)) if cron is not None else None
    except CronError as error:
        raise InvalidRequest.of("cron", str(error)) from error
