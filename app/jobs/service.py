"""Enqueues jobs with the transaction they belong to, and brings back to life what died."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from kombu.exceptions import OperationalError

from app.core.jobs import Job, JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Transaction
from app.db.tables import JobRow
from app.jobs.ending import JobEnding, OnEnd, tell_nobody
from app.jobs.repository import JobRepository
from app.stores.queue import JobQueue

log = structlog.get_logger(__name__)


REMEMBERED_S = 86_400.0
"""How long the rows of coalescing jobs are kept after their end; others longer (`app.lifecycle.retention`)."""


class JobService:
    """Jobs in one transaction; messages leave after its commit."""

    def __init__(self, transaction: Transaction, queue: JobQueue) -> None:
        self._transaction = transaction
        self._queue = queue
        self._jobs = JobRepository(transaction)

    @property
    def queue(self) -> JobQueue:
        """The way to the workers."""
        return self._queue

    def enqueue(self, project: ProjectId, kind: JobKind, payload: Mapping[str, Any]) -> JobRow:
        """A job of its own."""
        row = self._jobs.add(project, kind, payload)
        self.send_after_commit(Job(row.id, kind))
        return row

    def ensure_waiting(self, project: ProjectId, kind: JobKind) -> None:
        """At least one job of a coalescing kind will start after this transaction."""
        job = self._jobs.add_waiting(project, kind)
        if job is not None:
            self.send_after_commit(job)

    def send_after_commit(self, job: Job) -> None:
        """Let the job's message leave once its row is durable; if the broker is away, the sweep sends it."""

        def send() -> None:
            try:
                self._queue.send(job)
            except OperationalError as error:
                log.warning("job not sent, the sweeper will", job=str(job.id), kind=job.kind, error=str(error))

        self._transaction.after_commit(send)


@dataclass(frozen=True)
class SweepPolicy:
    """When a job counts as dead, lost, or hopeless."""

    stale_s: float
    resend_s: float
    max_attempts: int


def sweep_jobs(transaction: Transaction, queue: JobQueue, policy: SweepPolicy, *, on_end: OnEnd = tell_nobody) -> None:
    """Requeue jobs of dead workers, give up those that keep dying, send lost messages again, forget old upkeep."""
    jobs = JobRepository(transaction)
    service = JobService(transaction, queue)
    for row in jobs.take_stale(policy.stale_s):
        _revive(row, service, policy)
        if JobState(row.state).finished:
            project, kind, state = ProjectId(row.project_id), JobKind(row.kind), JobState(row.state)
            on_end(transaction, JobEnding(row.id, project, kind, state, error=row.error))
    transaction.session.flush()
    jobs.forget_finished([kind for kind in JobKind if kind.coalesces or kind is JobKind.QUERY], older_s=REMEMBERED_S)
    for job in jobs.take_unsent(policy.resend_s):
        service.send_after_commit(job)


def _revive(row: JobRow, service: JobService, policy: SweepPolicy) -> None:
    kind = JobKind(row.kind)
    log.warning("job lost its worker", job=str(row.id), kind=kind, attempts=row.attempts)
    if row.cancel_requested:
        row.state = JobState.CANCELLED
    elif kind.coalesces:
        # Another of its kind may wait already (at most one may): that one does the work.
        row.state, row.error = JobState.FAILED, "The worker died; another job goes on."
        service.ensure_waiting(ProjectId(row.project_id), kind)
    elif row.attempts >= policy.max_attempts:
        row.state, row.error = JobState.FAILED, f"The worker died {row.attempts} times while doing this."
    else:
        row.state, row.sent_at = JobState.QUEUED, None
        return
    row.finished_at = datetime.now(UTC)
