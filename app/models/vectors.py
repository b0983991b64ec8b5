"""Gives items their vectors under the versions that serve: hidden states through `item_tower.onnx`."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from app.core.jobs import JobKind
from app.core.types import ProjectId, VersionId
from app.db.session import Database
from app.db.tables import ModelVersionRow
from app.jobs.service import JobService
from app.models.beside import BesideRepository
from app.models.freshness import count_fresh
from app.models.repository import ModelRepository, NewVector, StaleItem, StatesLocation
from app.stores.artifacts import ArtifactStore
from app.stores.changes import ChangeFeed
from app.stores.features import FeatureStore
from app.stores.queue import JobQueue
from model.artifact import ArtifactError, Manifest, load_manifest
from model.runtime import ItemTower

log = structlog.get_logger(__name__)

BATCH = 256


class VectorService:
    """Item vectors outside of training: new items, changed contents, a version promoted after they came.

    Args:
        database: holds the waiting list and takes the vectors.
        features: hidden states.
        artifacts: published versions.
        changes: tells the API processes.
        queue: to the workers.
    """

    def __init__(
        self,
        database: Database,
        features: FeatureStore,
        artifacts: ArtifactStore,
        *,
        changes: ChangeFeed,
        queue: JobQueue,
    ) -> None:
        self._database = database
        self._features = features
        self._artifacts = artifacts
        self._changes = changes
        self._queue = queue

    def refresh(self, project: ProjectId) -> int:
        """Compute every vector that the live version lacks, then those of versions beside it; how many were written.

        While a version cannot be read its items wait on; whoever encodes is not held up by that.
        """
        return self._refresh_live(project) + self._refresh_beside(project)

    def _refresh_live(self, project: ProjectId) -> int:
        written = 0
        try:
            while (count := self._refresh_batch(project)) is not None:
                written += count
        except ArtifactError as error:
            log.error("no vectors, the live version cannot be read", project=project, error=str(error))
        return written

    def _refresh_batch(self, project: ProjectId) -> int | None:
        """One batch; None when nothing waits.

        An item with contents that the live version's own encoders have yet to see gets no vector of the others alone:
        it is taken off the list, its contents are put on theirs, and it is back when they are done
        (`EncodingRepository.want_vectors`).
        """
        with self._database.transaction() as transaction:
            models = ModelRepository(transaction, project)
            models.hold_live()
            live = models.live()
            items = models.stale_items(limit=BATCH) if live else []
            if live is None or not items:
                return None
            vectors, listed = self._write(models, live, items)
            models.mark_indexed(items, ready=[vector.item_pk for vector in vectors])
            count_fresh(transaction, project, [vector.item_pk for vector in vectors], since=live.created_at)
            transaction.after_commit(lambda: self._changes.announce(project))
        if listed:
            self._ensure_encoding(project)
        return len(vectors)

    def _write(
        self, models: ModelRepository, version: ModelVersionRow, items: Sequence[StaleItem]
    ) -> tuple[list[NewVector], bool]:
        """Vectors of those that can have one; and whether contents were put on the list of the version's encoders."""
        unseen = models.unseen_media([item.pk for item in items], version.own_encoders)
        listed = models.list_contents(unseen, version.own_encoders)
        incomplete = {medium.item_pk for medium in unseen}
        vectors = self._compute(models, version, [item for item in items if item.pk not in incomplete])
        models.write_vectors(VersionId(version.id), vectors)
        return vectors, listed

    def _refresh_beside(self, project: ProjectId) -> int:
        """What versions beside the live one lack: there is no list of it, contents are compared instead."""
        with self._database.transaction() as transaction:
            versions = [(VersionId(row.id), row.name) for row in BesideRepository(transaction, project).versions()]
        written = 0
        for version, name in versions:
            after: int | None = 0
            try:
                while after is not None:
                    count, after = self._refresh_beside_batch(project, version, after)
                    written += count
            except ArtifactError as error:
                log.error("no vectors, a version cannot be read", project=project, version=name, error=str(error))
        return written

    def _refresh_beside_batch(self, project: ProjectId, version: VersionId, after: int) -> tuple[int, int | None]:
        """One batch of items past the number `after`: how many vectors, and the number to go on from if any is left."""
        with self._database.transaction() as transaction:
            models = ModelRepository(transaction, project)
            models.hold_live()
            beside = BesideRepository(transaction, project)
            row = beside.find(version)
            items = beside.outdated_items(row, after=after, limit=BATCH) if row else []
            if row is None or not items:
                return 0, None
            vectors, listed = self._write(models, row, items)
            if vectors:
                transaction.after_commit(lambda: self._changes.announce(project))
        if listed:
            self._ensure_encoding(project)
        return len(vectors), items[-1].pk

    def _ensure_encoding(self, project: ProjectId) -> None:
        """In a transaction that holds no items: those who upload hold items and the waiting job too."""
        with self._database.transaction() as transaction:
            JobService(transaction, self._queue).ensure_waiting(project, JobKind.ENCODE)

    def _compute(
        self, models: ModelRepository, version: ModelVersionRow, items: Sequence[StaleItem]
    ) -> list[NewVector]:
        folder = self._artifacts.path(version.artifact)
        manifest = load_manifest(folder)
        located = models.locate_states(
            [item.pk for item in items], [(modality.name, modality.encoder) for modality in manifest.modalities]
        )
        with_states = {location.item_pk for location in located}
        usable = [item for item in items if item.pk in with_states]
        if not usable:
            return []
        states, present = gather_states(self._features, manifest, [item.pk for item in usable], located)
        vectors, shares = open_item_tower(folder).encode(states, present)
        return [
            NewVector.of(item.pk, vector, share, item.content_key)
            for item, vector, share in zip(usable, vectors, shares, strict=True)
        ]


@lru_cache(maxsize=8)
def open_item_tower(folder: Path) -> ItemTower:
    """The item tower of a published artifact, which never changes."""
    return ItemTower(folder)


def gather_states(
    features: FeatureStore, manifest: Manifest, pks: Sequence[int], located: Sequence[StatesLocation]
) -> tuple[Mapping[str, NDArray[np.float16]], NDArray[np.bool_]]:
    """Hidden states of items as a tower takes them: by modality [n, layers, width], and presence [n, m]."""
    row_of = {pk: row for row, pk in enumerate(pks)}
    states: dict[str, NDArray[np.float16]] = {}
    present = np.zeros((len(pks), len(manifest.modalities)), dtype=bool)
    for column, modality in enumerate(manifest.modalities):
        here = [location for location in located if location.modality == modality.name]
        rows = [row_of[location.item_pk] for location in here]
        block = np.zeros((len(pks), modality.layers_total, modality.width), dtype=np.float16)
        if here:
            found = np.empty((len(here), *block.shape[1:]), dtype=np.float16)
            features.read_into(found, [location.shard for location in here], [location.shard_row for location in here])
            block[rows] = found
            present[rows, column] = True
        states[modality.name] = block
    return states, present
