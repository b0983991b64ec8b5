"""Item vectors by one modality alone: the live item tower with everything else masked, kept in memory."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import cast, literal, select, text, union

from app.core.errors import AnswerTimedOut, ModalityNotRead
from app.core.types import MediaState, ProjectId, VersionId
from app.db.repository import Repository
from app.db.session import Database, Transaction
from app.db.tables import HiddenStatesRow, ItemRow, ItemVectorRow, MediaRow
from app.models.vectors import open_item_tower
from app.recommendations.catalogue import Catalogue
from app.recommendations.served import ServedVersion
from app.recommendations.state import ProjectState
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.stores.artifacts import ArtifactStore
from app.stores.features import FeatureStore
from model.artifact import Manifest, ModalityManifest, load_manifest

BATCH = 256
KEPT = 8
"""Modalities of versions in memory, each as large as the version's vectors; the longest unused ones go first."""
FROM_THE_START = 0


@dataclass(frozen=True)
class ChangedItem:
    """Where the states of an item's medium lie now; None where it has none."""

    item_id: str
    shard: str | None
    shard_row: int | None


class ModalityRepository(Repository):
    """Items that changed, as of one snapshot: whatever changes an item's states changes its row or its vector too."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        super().__init__(transaction, project)
        self.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})

    def snapshot_start(self) -> int:
        """Oldest transaction that this snapshot may not see yet: the next look begins with it."""
        return int(self.session.scalars(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")).one())

    def changed(self, version: VersionId, modality: str, fingerprint: str, *, since: int) -> Sequence[ChangedItem]:
        """Items that changed, or their vectors under the version, in transactions numbered `since` or later."""
        start = cast(literal(str(since)), ItemRow.changed_xid.type)
        changed = union(
            select(ItemRow.id).where(ItemRow.project_id == self.project, ItemRow.changed_xid >= start),
            select(ItemVectorRow.item_pk).where(
                ItemVectorRow.version_id == version, ItemVectorRow.changed_xid >= start
            ),
        ).subquery()
        query = (
            select(ItemRow.item_id, HiddenStatesRow.shard, HiddenStatesRow.shard_row)
            .join(changed, changed.c.id == ItemRow.id)
            .outerjoin(MediaRow, (MediaRow.item_pk == ItemRow.id) & (MediaRow.modality == modality))
            .outerjoin(
                HiddenStatesRow,
                (HiddenStatesRow.project_id == MediaRow.project_id)
                & (HiddenStatesRow.content_hash == MediaRow.content_hash)
                & (HiddenStatesRow.fingerprint == fingerprint)
                & (HiddenStatesRow.state == MediaState.ENCODED),
            )
            .where(ItemRow.project_id == self.project)
            .order_by(ItemRow.id)
        )
        return [ChangedItem(*row) for row in self.session.execute(query)]


@dataclass
class ModalityVectors:
    """Vectors of the items that have a modality, under one version, in rows of their own."""

    vectors: ItemVectors
    row_of: dict[str, int] = field(default_factory=dict)
    made_of: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Shard and row of the states behind each vector: the same ones give the same vector again."""
    start: int = FROM_THE_START
    snapshot: str | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def within(self, catalogue: Catalogue) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors [n, d] in the rows of the catalogue, and which rows have one [n]."""
        values = np.zeros((len(catalogue), self.vectors.values.shape[1]), np.float32)
        present = np.zeros(len(catalogue), bool)
        pairs = [(place, row) for item, row in self.row_of.items() if (place := catalogue.row_of.get(item)) is not None]
        if pairs:
            places, rows = np.array(pairs, np.intp).T
            values[places], present[places] = self.vectors.values[rows], self.vectors.present[rows]
        return values, present


@dataclass(frozen=True)
class _Look:
    changes: Sequence[ChangedItem]
    updates: Sequence[VectorUpdate]
    start: int


class ModalityIndex:
    """The vectors of modalities of this process's projects, each made on first use and kept up to date.

    Args:
        database: the index of hidden states.
        features: hidden states.
        artifacts: published versions.
        timeout_s: longest wait of one request; what has begun goes on for the next one.
    """

    def __init__(
        self, database: Database, features: FeatureStore, artifacts: ArtifactStore, *, timeout_s: float
    ) -> None:
        self._database = database
        self._features = features
        self._artifacts = artifacts
        self._timeout_s = timeout_s
        self._kept: OrderedDict[tuple[ProjectId, VersionId, str], ModalityVectors] = OrderedDict()
        self._at_work: set[asyncio.Task[None]] = set()

    async def get(self, state: ProjectState, version: ServedVersion, modality: str) -> ModalityVectors:
        """The vectors, no older than the project's state; raises ModalityNotRead or AnswerTimedOut."""
        if modality not in version.modalities:
            raise ModalityNotRead(modality, version.modalities)
        key = (state.project, version.id, modality)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = ModalityVectors(ItemVectors(width=version.width, modalities=()))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        if found.snapshot != state.snapshot:
            await self._wait(self._refresh(found, state, version, modality))
        return found

    async def _wait(self, refreshing: "asyncio.Task[None]") -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.shield(refreshing)
        except TimeoutError as error:
            raise AnswerTimedOut("The vectors of this modality were not ready", timeout_s=self._timeout_s) from error

    def _refresh(
        self, found: ModalityVectors, state: ProjectState, version: ServedVersion, modality: str
    ) -> "asyncio.Task[None]":
        async def refresh(wanted: str) -> None:
            async with found.lock:
                if found.snapshot == wanted:
                    return
                look = await anyio.to_thread.run_sync(self._look, found, state.project, version, modality)
                _accept(found, look)
                found.snapshot = wanted

        task = asyncio.create_task(refresh(state.snapshot))
        self._at_work.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._at_work.discard(task)
        # Whoever waited has been told; whoever has left does not mind.
        if not task.cancelled():
            task.exception()

    def _look(self, found: ModalityVectors, project: ProjectId, version: ServedVersion, modality: str) -> _Look:
        folder = self._artifacts.path(version.artifact)
        manifest = load_manifest(folder)
        entry = {one.name: one for one in manifest.modalities}[modality]
        with self._database.transaction() as transaction:
            repository = ModalityRepository(transaction, project)
            start = repository.snapshot_start()
            changes = repository.changed(version.id, modality, entry.encoder, since=found.start)
        known = found.made_of
        fresh = [one for one in changes if one.shard is not None and known.get(one.item_id) != _states_of(one)]
        gone = [VectorUpdate(one.item_id, None, None) for one in changes if one.shard is None]
        tower = open_item_tower(folder)
        updates = [*gone]
        for batch in _batches(fresh):
            states = self._states(batch, entry)
            present = np.zeros((len(batch), len(manifest.modalities)), bool)
            present[:, _column(manifest, modality)] = True
            vectors, _ = tower.encode({modality: states}, present)
            updates += [VectorUpdate(one.item_id, vector, None) for one, vector in zip(batch, vectors, strict=True)]
        return _Look(changes, updates, start)

    def _states(self, items: Sequence[ChangedItem], entry: ModalityManifest) -> NDArray[np.float16]:
        out = np.empty((len(items), entry.layers_total, entry.width), np.float16)
        return self._features.read_into(out, [one.shard or "" for one in items], [one.shard_row or 0 for one in items])


def _states_of(item: ChangedItem) -> tuple[str, int] | None:
    return None if item.shard is None else (item.shard, item.shard_row or 0)


def _batches(items: Sequence[ChangedItem]) -> Iterator[Sequence[ChangedItem]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _column(manifest: Manifest, modality: str) -> int:
    return [one.name for one in manifest.modalities].index(modality)


def _accept(found: ModalityVectors, look: _Look) -> None:
    for update in look.updates:
        if update.vector is not None:
            found.row_of.setdefault(update.item_id, len(found.row_of))
    found.vectors.apply(look.updates, found.row_of)
    for change in look.changes:
        states = _states_of(change)
        if states is None:
            found.made_of.pop(change.item_id, None)
        else:
            found.made_of[change.item_id] = states
    found.start = look.start
