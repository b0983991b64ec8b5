"""Training of versions."""

from app.jobs.run import JobRun
from app.training.pipeline import TrainingPipeline
from worker import context
from worker.celery_app import celery_app
from worker.tasks import running


@celery_app.task(name="crossan.train")
def train(job_id: str) -> None:
    """Train, export, publish, and perhaps promote."""

    def work(run: JobRun) -> None:
        TrainingPipeline(context.training_parts(), run).train()

    running.run(job_id, work)
