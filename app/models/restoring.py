"""Gives archived versions their item vectors again, from their artifacts."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from app.core.types import ProjectId, VersionId
from app.db.session import Database, Transaction
from app.db.tables import ModelVersionRow
from app.models.repository import ModelRepository, NewVector
from app.stores.artifacts import ArtifactStore
from app.stores.queue import JobQueue
from app.webhooks.events import WebhookEvent
from app.webhooks.outbox import WebhookOutbox
from model.artifact import ArtifactError, load_item_vectors

log = structlog.get_logger(__name__)

FROM_THE_TRAINING = ""
"""A content key that no item has: what the vectors were made from is not known any more. They serve, and are made
anew when the version is promoted."""


class VersionRestorer:
    """The part of an index job that restores.

    Args:
        database: takes the vectors.
        artifacts: has them, as they were trained.
        queue: to the workers.
    """

    def __init__(self, database: Database, artifacts: ArtifactStore, queue: JobQueue) -> None:
        self._database = database
        self._artifacts = artifacts
        self._queue = queue

    def restore_requested(self, project: ProjectId) -> int:
        """Restore what is to be restored; how many versions are ready now. A damaged one stays archived."""
        restored = 0
        with self._database.transaction() as transaction:
            waiting = [row.id for row in ModelRepository(transaction, project).to_restore()]
        for version in waiting:
            with self._database.transaction() as transaction:
                restored += self._restore(transaction, project, VersionId(version))
        return restored

    def _restore(self, transaction: Transaction, project: ProjectId, version: VersionId) -> int:
        models = ModelRepository(transaction, project)
        models.lock_project()
        row = next((row for row in models.to_restore() if row.id == version), None)
        if row is None:
            return 0
        row.restore_requested_at = None
        try:
            vectors = list(_vectors(self._artifacts.path(row.artifact), models.item_pks()))
        except ArtifactError as error:
            log.error("the version cannot be restored", project=project, version=row.name, error=str(error))
            return 0
        self._fill(transaction, models, row, vectors)
        return 1

    def _fill(
        self, transaction: Transaction, models: ModelRepository, row: ModelVersionRow, vectors: list[NewVector]
    ) -> None:
        models.write_vectors(VersionId(row.id), vectors)
        row.archived_at = None
        outbox = WebhookOutbox(self._queue)
        outbox.emit(transaction, models.project, WebhookEvent.MODEL_RESTORED, {"version": row.name})


def _vectors(folder: Path, pks: Mapping[str, int]) -> Iterator[NewVector]:
    """Of the items that are still there."""
    for item_id, vector, shares in zip(*load_item_vectors(folder), strict=True):
        if item_id in pks:
            yield NewVector.of(pks[item_id], vector, shares, FROM_THE_TRAINING)
