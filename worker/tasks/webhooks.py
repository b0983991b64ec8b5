"""Messages to webhooks."""

from app.jobs.run import JobRun
from app.webhooks.delivery import DeliveryService
from app.webhooks.sending import HttpSender
from worker import context
from worker.celery_app import celery_app
from worker.tasks import running


@celery_app.task(name="crossan.deliver")
def deliver(job_id: str) -> None:
    """Send the messages that are due."""
    base = context.worker_context().base
    settings = base.settings
    sender = HttpSender(timeout_s=settings.webhook_timeout_s, allow_private=settings.webhook_allow_private)
    service = DeliveryService(base.database, sender, retry_s=settings.webhook_retry_s)

    def work(run: JobRun) -> None:
        tried = service.deliver_due(run)
        with base.database.transaction() as transaction:
            run.finish(transaction, {"messages": tried})

    running.run(job_id, work)
