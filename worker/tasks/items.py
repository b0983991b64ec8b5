"""Encoding of media and vectors of items."""

from app.jobs.run import JobRun
from app.models.restoring import VersionRestorer
from worker import context
from worker.celery_app import celery_app
from worker.tasks import queries, running


@celery_app.task(name="crossan.encode")
def encode(job_id: str) -> None:
    """Encode what is pending of a project; what is encoded gets its vector under the live version right away."""
    parts = context.worker_context()

    def work(run: JobRun) -> None:
        encoding = context.encoding_service()

        def after_batch() -> None:
            parts.vectors.refresh(run.project)
            queries.answer_waiting()

        queries.answer_waiting()
        progress = encoding.encode_pending(run, after_batch=after_batch)
        parts.vectors.refresh(run.project)
        encoding.conclude(run, progress, parts.base.queue)

    running.run(job_id, work)


@celery_app.task(name="crossan.index")
def index(job_id: str) -> None:
    """Give every item that lacks one its vector under the live version, and archived versions that shall have them."""
    parts = context.worker_context()
    base = parts.base

    def work(run: JobRun) -> None:
        VersionRestorer(base.database, base.artifacts, base.queue).restore_requested(run.project)
        written = parts.vectors.refresh(run.project)
        with base.database.transaction() as transaction:
            run.finish(transaction, {"vectors": written})

    running.run(job_id, work)
