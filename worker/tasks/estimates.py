"""Estimates of versions on recorded answers."""

from app.jobs.run import JobRun
from app.off_policy.pipeline import EstimatePipeline
from app.off_policy.schemas import EstimateCreate
from worker import context
from worker.celery_app import celery_app
from worker.tasks import running


@celery_app.task(name="crossan.estimate")
def estimate(job_id: str) -> None:
    """Estimate on recorded answers what another version would have done."""
    base = context.worker_context().base

    def work(run: JobRun) -> None:
        pipeline = EstimatePipeline(
            base.database, base.artifacts, run.project, check=run.check, on_progress=run.record_progress
        )
        result = pipeline.estimate(run.payload["version"], EstimateCreate.model_validate(run.payload["order"]))
        with base.database.transaction() as transaction:
            run.finish(transaction, result.model_dump(mode="json"))

    running.run(job_id, work)
