"""Vectors of uploads, for those who wait."""

from app.jobs.run import JobRun
from worker import context
from worker.celery_app import celery_app
from worker.tasks import running


@celery_app.task(name="crossan.query")
def query(job_id: str) -> None:
    """Give an upload its vector; one that has been answered between the batches of other work is nobody's any more."""
    running.run(job_id, _answer)


def answer_waiting() -> None:
    """Answer every question that waits: long work calls it between its batches, since somebody waits for seconds."""
    for job_id in context.query_answerer().waiting():
        running.run(str(job_id), _answer)


def _answer(run: JobRun) -> None:
    context.query_answerer().answer(run)
