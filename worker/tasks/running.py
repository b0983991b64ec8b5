"""Runs a job's work under this process's heartbeat and shutdown."""

from collections.abc import Callable
from uuid import UUID

from app.jobs.run import JobRun, run_job
from app.webhooks.outbox import tell_endings
from worker import context


def run(job_id: str, work: Callable[[JobRun], None]) -> None:
    """Claim the job that a message names, and do its work once."""
    base = context.worker_context().base
    run_job(
        base.database,
        UUID(job_id),
        work,
        heartbeat_s=base.settings.heartbeat_s,
        shutting_down=context.shutting_down,
        on_end=tell_endings(base.queue),
    )
