"""What clients do with versions: look at them and move the live pointer."""

from app.core.errors import ModelNotFound
from app.core.jobs import JobKind
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import ModelVersionRow
from app.jobs.service import JobService
from app.models.repository import ModelRepository
from app.models.schemas import ModelRead
from app.stores.changes import ChangeFeed


class ModelService:
    """The versions of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, jobs: JobService, changes: ChangeFeed) -> None:
        self._transaction = transaction
        self._project = project
        self._jobs = jobs
        self._changes = changes
        self._models = ModelRepository(transaction, project)

    def list_models(self) -> list[ModelRead]:
        """Every version, newest first."""
        live = self._models.live()
        return [read_model(row, live=live is not None and live.id == row.id) for row in self._models.all()]

    def promote(self, version: str) -> ModelRead:
        """Let `v<number>` serve, be it newer or older than the present one; raises ModelNotFound."""
        number = version.removeprefix("v")
        self._models.lock_project()
        row = self._models.by_number(int(number)) if number.isdecimal() and len(number) < MAX_DIGITS else None
        if row is None:
            raise ModelNotFound(version)
        self.make_live(row)
        return read_model(row, live=True)

    def make_live(self, row: ModelVersionRow) -> None:
        """Move the pointer; items without a vector under this version get one, and every API process is told."""
        self._models.set_live(row)
        self._jobs.ensure_waiting(self._project, JobKind.INDEX)
        if row.own_encoders:
            # Something may wait for them since this version was live before.
            self._jobs.ensure_waiting(self._project, JobKind.ENCODE)
        self._transaction.after_commit(lambda: self._changes.announce(self._project))


MAX_DIGITS = 18
"""Version numbers fit into 64 bits."""


def read_model(row: ModelVersionRow, *, live: bool) -> ModelRead:
    """A row as clients may see it."""
    return ModelRead(
        version=row.name,
        method=row.method,
        live=live,
        items=row.manifest["item_count"],
        metrics=row.manifest["metrics"],
        parity=row.manifest["parity"],
        data_cut=row.manifest["meta"].get("data_cut", {}),
        created_at=row.created_at,
    )
