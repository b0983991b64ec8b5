"""Orders the trainings of schedules whose time has come or whose conditions hold."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from app.core.errors import CrossanError
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Database, Transaction
from app.db.tables import ScheduleRow
from app.impressions.metrics import OnlineMetrics, online_metrics
from app.jobs.repository import JobRepository
from app.jobs.service import JobService
from app.lifecycle.cron import parse_cron
from app.lifecycle.repository import ScheduleRepository, due_schedules, lock_due
from app.lifecycle.schemas import MetricFalls, Triggers, WatchedMetric
from app.stores.queue import JobQueue

log = structlog.get_logger(__name__)

CRON, EVENTS, ITEMS, METRIC = "cron", "after_events", "after_items", "when_metric_falls"

_VALUES: dict[WatchedMetric, Callable[[OnlineMetrics], float | None]] = {
    WatchedMetric.CTR: lambda metrics: metrics.ctr.value,
    WatchedMetric.ANSWER_CTR: lambda metrics: metrics.answer_ctr.value,
    WatchedMetric.CONVERSION: lambda metrics: metrics.conversion.value,
    WatchedMetric.MRR: lambda metrics: metrics.mrr,
    WatchedMetric.COVERAGE: lambda metrics: metrics.coverage,
}


class ScheduleEvaluator:
    """Looks at the schedules of every project.

    Any number may run at once: each schedule is held while it is looked at, and its marks move in the transaction that
    orders its training.

    Args:
        database: holds the schedules.
        queue: to the workers.
        check_s: seconds between two looks at the conditions of a schedule.
        clock: the present time, with a zone.
    """

    def __init__(
        self,
        database: Database,
        queue: JobQueue,
        *,
        check_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._queue = queue
        self._check_s = check_s
        self._clock = clock

    def evaluate(self) -> int:
        """Look at everything that is due; how many trainings were ordered. What fails for one holds up no other."""
        now = self._clock()
        with self._database.transaction() as transaction:
            due = due_schedules(transaction, now=now, check_s=self._check_s)
        ordered = 0
        for schedule in due:
            try:
                with self._database.transaction() as transaction:
                    ordered += self._look(transaction, schedule, now)
            except CrossanError as error:
                log.warning("a schedule could not be looked at", schedule=schedule, error=error.detail)
                self._put_off(schedule, now)
        return ordered

    def _look(self, transaction: Transaction, schedule: int, now: datetime) -> bool:
        row = lock_due(transaction, schedule, now=now, check_s=self._check_s)
        if row is None:
            return False
        row.checked_at = now
        if _is_busy(transaction, row):
            # A time that comes meanwhile stays due, and is made up for once when the training has ended.
            return False
        reason = reason_to_train(transaction, row, now)
        if reason is None:
            return False
        self._order(transaction, row, reason, now)
        return True

    def _order(self, transaction: Transaction, row: ScheduleRow, reason: str, now: datetime) -> None:
        project = ProjectId(row.project_id)
        schedules = ScheduleRepository(transaction, project)
        payload = {**row.training, "schedule": row.name}
        row.last_job_id = JobService(transaction, self._queue).enqueue(project, JobKind.TRAIN, payload).id
        row.last_reason = reason
        row.events_mark, row.items_mark = schedules.newest_event(), schedules.newest_item()
        if row.cron is not None:
            row.next_at = parse_cron(row.cron).next_after(now)
        watched = Triggers(**row.triggers).when_metric_falls if row.triggers else None
        row.metric_since = now + timedelta(seconds=watched.baseline_window_s) if watched else None
        log.info("training ordered", project=project, schedule=row.name, reason=reason, job=str(row.last_job_id))

    def _put_off(self, schedule: int, now: datetime) -> None:
        with self._database.transaction() as transaction:
            row = lock_due(transaction, schedule, now=now, check_s=self._check_s)
            if row is not None:
                row.checked_at = now


def _is_busy(transaction: Transaction, row: ScheduleRow) -> bool:
    """Whether the training that the schedule ordered last has not ended."""
    if row.last_job_id is None:
        return False
    job = JobRepository(transaction).get(ProjectId(row.project_id), row.last_job_id)
    return job is not None and not JobState(job.state).finished


def reason_to_train(transaction: Transaction, row: ScheduleRow, now: datetime) -> str | None:
    """Why the schedule orders a training now, the cheapest reason to find out first; None if it does not."""
    if row.next_at is not None and row.next_at <= now:
        return CRON
    if row.triggers is None:
        return None
    triggers = Triggers(**row.triggers)
    schedules = ScheduleRepository(transaction, ProjectId(row.project_id))
    if triggers.after_items is not None and schedules.has_items(past=row.items_mark, count=triggers.after_items):
        return ITEMS
    if triggers.after_events is not None and schedules.has_events(past=row.events_mark, count=triggers.after_events):
        return EVENTS
    watched = triggers.when_metric_falls
    rested = row.metric_since is None or row.metric_since <= now
    if watched is not None and rested and has_fallen(transaction, ProjectId(row.project_id), watched, now):
        return METRIC
    return None


def has_fallen(transaction: Transaction, project: ProjectId, watched: MetricFalls, now: datetime) -> bool:
    """Whether the metric is lower than before by the share that is watched for, both on enough impressions."""
    turn = now - timedelta(seconds=watched.window_s)
    (present,) = online_metrics(transaction, project, since=turn, until=now)
    if present.impressions < watched.min_impressions:
        return False
    since = turn - timedelta(seconds=watched.baseline_window_s)
    (before,) = online_metrics(transaction, project, since=since, until=turn)
    if before.impressions < watched.min_impressions:
        return False
    value, baseline = _VALUES[watched.metric](present), _VALUES[watched.metric](before)
    return value is not None and baseline is not None and value < baseline * (1.0 - watched.by)
