"""What beat asks for now and then."""

from app.items.upkeep import ensure_upkeep
from app.jobs.service import SweepPolicy, sweep_jobs
from app.training.upkeep import discard_ended
from worker import context
from worker.celery_app import SWEEP_TASK, celery_app


@celery_app.task(name=SWEEP_TASK)
def sweep() -> None:
    """Requeue the jobs of dead workers, send lost messages again, and see to it that nothing waits without a job."""
    base = context.worker_context().base
    settings = base.settings
    policy = SweepPolicy(
        stale_s=settings.job_stale_s, resend_s=settings.job_resend_s, max_attempts=settings.job_max_attempts
    )
    with base.database.transaction() as transaction:
        sweep_jobs(transaction, base.queue, policy)
        ensure_upkeep(transaction, base.queue, pause_s=settings.job_resend_s)
    with base.database.transaction() as transaction:
        discard_ended(transaction, base.artifacts)
