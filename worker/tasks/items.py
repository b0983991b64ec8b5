"""Encoding of media and vectors of items."""

from app.jobs.run import JobRun
from worker import context
from worker.celery_app import celery_app
from worker.tasks import running


@celery_app.task(name="crossan.encode")
def encode(job_id: str) -> None:
    """Encode what is pending of a project; what is encoded gets its vector under the live version right away."""
    parts = context.worker_context()

    def work(run: JobRun) -> None:
        encoding = context.encoding_service()
        progress = encoding.encode_pending(run, after_batch=lambda: parts.vectors.refresh(run.project))
        parts.vectors.refresh(run.project)
        encoding.conclude(run, progress, parts.base.queue)

    running.run(job_id, work)


@celery_app.task(name="crossan.index")
def index(job_id: str) -> None:
    """Give every item that lacks one its vector under the live version."""
    parts = context.worker_context()

    def work(run: JobRun) -> None:
        written = parts.vectors.refresh(run.project)
        with parts.base.database.transaction() as transaction:
            run.finish(transaction, {"vectors": written})

    running.run(job_id, work)
