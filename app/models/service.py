"""What clients do with versions: look at them and move the live pointer."""

from app.core.errors import ModelArchived, ModelNotFound, NothingToRollBack
from app.core.jobs import JobKind
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import ModelVersionRow
from app.jobs.service import JobService
from app.models.promotions import REQUEST, ROLLBACK, PromotionRepository
from app.models.repository import ModelRepository
from app.models.schemas import ModelRead, ModelState
from app.stores.changes import ChangeFeed
from app.webhooks.events import WebhookEvent
from app.webhooks.outbox import WebhookOutbox


class ModelService:
    """The versions of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, jobs: JobService, changes: ChangeFeed) -> None:
        self._transaction = transaction
        self._project = project
        self._jobs = jobs
        self._changes = changes
        self._models = ModelRepository(transaction, project)
        self._promotions = PromotionRepository(transaction, project)

    def list_models(self) -> list[ModelRead]:
        """Every version, newest first."""
        live = self._models.live()
        return [read_model(row, live=live is not None and live.id == row.id) for row in self._models.all()]

    def promote(self, version: str, *, key_id: int | None = None, reason: str = REQUEST) -> ModelRead:
        """Let `v<number>` serve, be it newer or older than the present one.

        Raises:
            ModelNotFound: there is none, or it is deleted.
            ModelArchived: it has no item vectors.
        """
        self._models.lock_project()
        row = find_version(self._models, version)
        if row.archived_at is not None:
            raise ModelArchived(version)
        self.make_live(row, reason=reason, key_id=key_id)
        return read_model(row, live=True)

    def rollback(self, *, key_id: int | None = None) -> ModelRead:
        """Let the version serve that was live before the present one; raises NothingToRollBack."""
        self._models.lock_project()
        target = self._promotions.target()
        if target is None:
            raise NothingToRollBack
        promotion, row = target
        self._promotions.add(row, reason=ROLLBACK, key_id=key_id, previous_id=promotion.previous_id)
        self._move_pointer(row, ROLLBACK)
        return read_model(row, live=True)

    def make_live(self, row: ModelVersionRow, *, reason: str = REQUEST, key_id: int | None = None) -> None:
        """Move the pointer; items without a vector under this version get one, and every API process is told.

        The caller holds the project.
        """
        live = self._models.live()
        if live is None or live.id != row.id:
            present = self._promotions.newest()
            self._promotions.add(row, reason=reason, key_id=key_id, previous_id=present.id if present else None)
            self._move_pointer(row, reason)
        else:
            self._move_pointer(row, None)

    def _move_pointer(self, row: ModelVersionRow, reason: str | None) -> None:
        """Do it, and tell webhooks why; without a reason the version is live already."""
        self._models.set_live(row)
        self._jobs.ensure_waiting(self._project, JobKind.INDEX)
        if row.own_encoders:
            # Something may wait for them since this version was live before.
            self._jobs.ensure_waiting(self._project, JobKind.ENCODE)
        if reason is not None:
            payload = {"version": row.name, "reason": reason}
            outbox = WebhookOutbox(self._jobs.queue)
            outbox.emit(self._transaction, self._project, WebhookEvent.MODEL_PROMOTED, payload)
        self._transaction.after_commit(lambda: self._changes.announce(self._project))


MAX_DIGITS = 18
"""Version numbers fit into 64 bits."""


def find_version(models: ModelRepository, version: str) -> ModelVersionRow:
    """The version `v<number>`; raises ModelNotFound when there is none, or it is deleted."""
    number = version.removeprefix("v")
    known = number.isascii() and number.isdecimal() and len(number) < MAX_DIGITS
    row = models.by_number(int(number)) if known else None
    if row is None:
        raise ModelNotFound(version)
    return row


def read_model(row: ModelVersionRow, *, live: bool) -> ModelRead:
    """A row as clients may see it."""
    return ModelRead(
        version=row.name,
        method=row.method,
        state=state_of(row, live=live),
        live=live,
        items=row.manifest["item_count"],
        metrics=row.manifest["metrics"],
        parity=row.manifest["parity"],
        data_cut=row.manifest["meta"].get("data_cut", {}),
        created_at=row.created_at,
    )


def state_of(row: ModelVersionRow, *, live: bool) -> ModelState:
    """What a version can do."""
    if live:
        return ModelState.LIVE
    if row.archived_at is None:
        return ModelState.READY
    return ModelState.ARCHIVED if row.restore_requested_at is None else ModelState.RESTORING
