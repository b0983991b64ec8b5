"""What beat asks for now and then."""

import time

from app.impressions.upkeep import forget_answers
from app.items.upkeep import ensure_upkeep
from app.jobs.service import SweepPolicy, sweep_jobs
from app.lifecycle.evaluation import ScheduleEvaluator
from app.lifecycle.retention import Retention, RetentionPolicy, Stores
from app.projects.idempotency import forget_expired
from app.recommendations.as_of import forget_history
from app.training.upkeep import discard_ended
from app.transfers.upkeep import discard_old
from app.webhooks.delivery import ensure_deliveries
from app.webhooks.outbox import tell_endings
from worker import context
from worker.celery_app import RETAIN_TASK, SCHEDULES_TASK, SWEEP_TASK, celery_app

DAY_S = 86_400.0


@celery_app.task(name=SWEEP_TASK)
def sweep() -> None:
    """Requeue the jobs of dead workers, send lost messages again, and see to it that nothing waits without a job."""
    base = context.worker_context().base
    settings = base.settings
    policy = SweepPolicy(
        stale_s=settings.job_stale_s, resend_s=settings.job_resend_s, max_attempts=settings.job_max_attempts
    )
    with base.database.transaction() as transaction:
        sweep_jobs(transaction, base.queue, policy, on_end=tell_endings(base.queue))
    # One after the other: jobs that a sweep has sent again are locked, and whoever uploads looks at them.
    with base.database.transaction() as transaction:
        ensure_upkeep(transaction, base.queue, pause_s=settings.job_resend_s)
    with base.database.transaction() as transaction:
        ensure_deliveries(transaction, base.queue)
    with base.database.transaction() as transaction:
        forget_answers(transaction, days=settings.answer_days)
    with base.database.transaction() as transaction:
        forget_expired(transaction, keep_s=settings.idempotency_s)
    # Files come last: one that cannot be removed keeps nothing else from being done.
    with base.database.transaction() as transaction:
        discard_ended(transaction, base.artifacts)
    with base.database.transaction() as transaction:
        discard_old(transaction, base.transfers, older_s=settings.transfer_keep_s)


@celery_app.task(name=SCHEDULES_TASK)
def look_at_schedules() -> None:
    """Order the trainings whose time has come or whose conditions hold."""
    base = context.worker_context().base
    ScheduleEvaluator(base.database, base.queue, check_s=base.settings.trigger_check_s).evaluate()


@celery_app.task(name=RETAIN_TASK)
def retain() -> None:
    """Remove old versions, leftovers, and what ended long ago; a part of the leftovers each time."""
    base = context.worker_context().base
    settings = base.settings
    policy = RetentionPolicy(
        versions=settings.keep_versions,
        jobs_s=settings.keep_jobs_days * DAY_S,
        messages_s=settings.webhook_keep_days * DAY_S,
        leftover_s=settings.leftover_s,
    )
    stores = Stores(base.blobs, base.features, base.artifacts)
    Retention(base.database, stores, base.queue, policy).apply(int(time.time() // settings.retain_every_s))
    with base.database.transaction() as transaction:
        # Answers are kept so long: what the catalogue was before the oldest one, nobody can ask for.
        forget_history(transaction, older_s=(settings.answer_days + 1) * DAY_S)
