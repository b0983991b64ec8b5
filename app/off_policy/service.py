"""What clients do with estimates: order one, and read it."""

from uuid import UUID

from app.core.errors import EstimateNotFound, ModelArchived
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Transaction
from app.db.tables import JobRow
from app.experiments.schemas import Metric
from app.jobs.repository import JobRepository
from app.jobs.service import JobService
from app.models.repository import ModelRepository
from app.models.service import find_version
from app.off_policy.schemas import EstimateCreate, EstimateRead, EstimateResult


class EstimateService:
    """The estimates of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, jobs: JobService) -> None:
        self._project = project
        self._service = jobs
        self._jobs = JobRepository(transaction)
        self._models = ModelRepository(transaction, project)

    def create(self, version: str, order: EstimateCreate) -> EstimateRead:
        """Queue an estimate; raises ModelNotFound, or ModelArchived for a version without item vectors."""
        row = find_version(self._models, version)
        if row.archived_at is not None:
            raise ModelArchived(version)
        payload = {"version": row.name, "order": order.model_dump(mode="json")}
        return read_estimate(self._service.enqueue(self._project, JobKind.ESTIMATE, payload))

    def get(self, estimate_id: UUID) -> EstimateRead:
        """One estimate; raises EstimateNotFound."""
        row = self._jobs.get(self._project, estimate_id)
        if row is None or row.kind != JobKind.ESTIMATE:
            raise EstimateNotFound(estimate_id)
        return read_estimate(row)


def read_estimate(row: JobRow) -> EstimateRead:
    """A job row as clients may see it."""
    order = EstimateCreate.model_validate(row.payload["order"])
    return EstimateRead(
        id=row.id,
        version=row.payload["version"],
        state=JobState(row.state),
        scenario=order.scenario,
        since=order.since,
        metric=Metric(types=order.types, window_s=order.window_s),
        progress=row.progress,
        result=None if row.result is None else EstimateResult.model_validate(row.result),
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
