"""Versions leave: archived, restored, deleted; never while they serve."""

from sqlalchemy import func

from app.core.errors import ModelInUse
from app.core.jobs import JobKind
from app.core.types import ProjectId, VersionId
from app.db.session import Transaction
from app.db.tables import ModelVersionRow
from app.experiments.repository import running
from app.jobs.service import JobService
from app.models.promotions import PromotionRepository
from app.models.repository import ModelRepository
from app.models.schemas import ModelRead
from app.models.service import find_version, read_model
from app.stores.artifacts import ArtifactStore
from app.webhooks.events import WebhookEvent
from app.webhooks.outbox import WebhookOutbox


class VersionService:
    """The versions of one project in one transaction; each change holds the project, as promotions do."""

    def __init__(
        self, transaction: Transaction, project: ProjectId, *, jobs: JobService, artifacts: ArtifactStore
    ) -> None:
        self._transaction = transaction
        self._project = project
        self._jobs = jobs
        self._artifacts = artifacts
        self._models = ModelRepository(transaction, project)

    def archive(self, version: str) -> ModelRead:
        """Drop a version's item vectors and keep its artifact; one that is archived stays so.

        Raises:
            ModelNotFound: there is none.
            ModelInUse: it serves.
        """
        row = self._unused(version)
        row.restore_requested_at = None
        if row.archived_at is None:
            self._models.drop_vectors(VersionId(row.id))
            row.archived_at = func.now()
            self._emit(WebhookEvent.MODEL_ARCHIVED, row)
        self._transaction.session.flush()
        return read_model(row, live=False)

    def restore(self, version: str) -> ModelRead:
        """Have an archived version get its item vectors again, by a job; raises ModelNotFound."""
        self._models.lock_project()
        row = find_version(self._models, version)
        if row.archived_at is not None:
            row.restore_requested_at = func.now()
            self._transaction.session.flush()
            self._jobs.ensure_waiting(self._project, JobKind.INDEX)
        live = self._models.live()
        return read_model(row, live=live is not None and live.id == row.id)

    def delete(self, version: str) -> None:
        """Remove a version with its vectors and, after the commit, its files; a tombstone of it stays.

        Raises:
            ModelNotFound: there is none, or it is deleted already.
            ModelInUse: it serves.
        """
        row = self._unused(version)
        self._models.drop_vectors(VersionId(row.id))
        self._models.drop_history(VersionId(row.id))
        row.deleted_at, row.restore_requested_at = func.now(), None
        self._emit(WebhookEvent.MODEL_DELETED, row)
        folder = self._artifacts.path(row.artifact)
        self._transaction.after_commit(lambda: self._artifacts.discard(folder))

    def surplus(self, keep: int) -> list[str]:
        """Versions past the newest `keep` that may go: not archived, not serving, and not the one to roll back to."""
        self._models.lock_project()
        kept = self._serving() | self._live_before()
        usable = [row for row in self._models.all() if row.archived_at is None]
        return [row.name for row in usable[keep:] if row.name not in kept]

    def _unused(self, version: str) -> ModelVersionRow:
        self._models.lock_project()
        row = find_version(self._models, version)
        if row.name in self._serving():
            raise ModelInUse(f"The model version '{row.name}' serves, alone or in a running experiment.")
        return row

    def _serving(self) -> set[str]:
        live = self._models.live()
        experiments = running(self._transaction.session, self._project)
        named = {arm.version for experiment in experiments for arm in experiment.arms if arm.version is not None}
        return named | ({live.name} if live else set())

    def _live_before(self) -> set[str]:
        target = PromotionRepository(self._transaction, self._project).target()
        return {target[1].name} if target else set()

    def _emit(self, event: WebhookEvent, row: ModelVersionRow) -> None:
        WebhookOutbox(self._jobs.queue).emit(self._transaction, self._project, event, {"version": row.name})
