"""The API's side of a search by upload: known contents are answered at once, others are encoded by a worker."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar
from uuid import UUID

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select

from app.core.errors import AnswerTimedOut, DependencyUnavailable, InvalidMedia, ModalityNotRead
from app.core.jobs import JobKind
from app.core.types import JobState, MediaState, ProjectId
from app.db.session import Database, Transaction
from app.db.tables import HiddenStatesRow, JobRow
from app.jobs.repository import JobRepository
from app.jobs.service import JobService
from app.recommendations.served import ServedVersion
from app.recommendations.similar_queries import REFUSED, VECTOR, vector_of
from app.stores.artifacts import ArtifactStore
from app.stores.blobs import BlobStore, sha256_of
from app.stores.features import FeatureStore
from app.stores.queue import JobQueue
from model.artifact import ModalityManifest, load_manifest

Result = TypeVar("Result")
FIRST_POLL_S = 0.02
LONGEST_POLL_S = 0.2
SLOWER = 1.3


class UploadVectors:
    """Makes the vector of an upload that is kept nowhere afterwards.

    Args:
        database: index of hidden states, and questions to workers.
        features: hidden states.
        artifacts: published versions.
        blobs: hand uploads to workers.
        queue: to the workers.
        timeout_s: longest wait for a worker.
    """

    def __init__(
        self,
        database: Database,
        features: FeatureStore,
        artifacts: ArtifactStore,
        blobs: BlobStore,
        *,
        queue: JobQueue,
        timeout_s: float,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._features = features
        self._artifacts = artifacts
        self._queue = queue
        self._timeout_s = timeout_s

    async def vector(
        self, project: ProjectId, version: ServedVersion, modality: str, file: BinaryIO
    ) -> NDArray[np.float32]:
        """The vector [d] of a checked upload under a version.

        Raises:
            ModalityNotRead: the version was trained without the modality.
            InvalidMedia: it can't be decoded or encoded.
            AnswerTimedOut: no worker was quick enough.
            DependencyUnavailable: a worker failed.
        """
        if modality not in version.modalities:
            raise ModalityNotRead(modality, version.modalities)
        known = await anyio.to_thread.run_sync(self._known, project, version, modality, file)
        if known is not None:
            return known
        job, blob = await anyio.to_thread.run_sync(self._ask, project, version, modality, file)
        try:
            return await self._answer(project, job, modality)
        finally:
            await anyio.to_thread.run_sync(self._leave, project, job, blob)

    def _known(
        self, project: ProjectId, version: ServedVersion, modality: str, file: BinaryIO
    ) -> NDArray[np.float32] | None:
        """From the hidden states of the same content, if any item has it."""
        manifest = load_manifest(self._artifacts.path(version.artifact))
        entry: ModalityManifest = {one.name: one for one in manifest.modalities}[modality]
        stored = select(HiddenStatesRow.shard, HiddenStatesRow.shard_row).where(
            HiddenStatesRow.project_id == project,
            HiddenStatesRow.content_hash == sha256_of(file),
            HiddenStatesRow.fingerprint == entry.encoder,
            HiddenStatesRow.state == MediaState.ENCODED,
        )
        with self._database.transaction() as transaction:
            found = transaction.session.execute(stored).one_or_none()
        if found is None:
            return None
        states = np.empty((1, entry.layers_total, entry.width), np.float16)
        self._features.read_into(states, [found[0] or ""], [found[1] or 0])
        return vector_of(self._artifacts, version.artifact, modality, states[0])

    def _ask(self, project: ProjectId, version: ServedVersion, modality: str, file: BinaryIO) -> tuple[UUID, str]:
        # A name of its own: removing it can never remove an item's content.
        blob = f"query-{uuid.uuid4().hex}"
        file.seek(0)
        self._blobs.put(project, blob, file)
        payload = {"blob": blob, "modality": modality, "version_id": version.id}
        with self._database.transaction() as transaction:
            return JobService(transaction, self._queue).enqueue(project, JobKind.QUERY, payload).id, blob

    async def _answer(self, project: ProjectId, job: UUID, modality: str) -> NDArray[np.float32]:
        until, pause_s = time.monotonic() + self._timeout_s, FIRST_POLL_S
        while time.monotonic() < until:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * SLOWER, LONGEST_POLL_S)
            row = await self._in_thread(lambda transaction: JobRepository(transaction).get(project, job))
            if row is not None and JobState(row.state).finished:
                return _result_of(row, modality)
        raise AnswerTimedOut("The upload was not encoded", timeout_s=self._timeout_s)

    async def _in_thread(self, work: Callable[[Transaction], Result]) -> Result:
        def run() -> Result:
            with self._database.transaction() as transaction:
                return work(transaction)

        return await anyio.to_thread.run_sync(run)

    def _leave(self, project: ProjectId, job: UUID, blob: str) -> None:
        """Nothing of the question stays; one that a worker is at is left to it, with the upload."""
        with self._database.transaction() as transaction:
            mine = delete(JobRow).where(JobRow.project_id == project, JobRow.id == job)
            over = transaction.session.scalars(
                mine.where(JobRow.state != JobState.RUNNING).returning(JobRow.id)
            ).one_or_none()
            if over is None:
                JobRepository(transaction).cancel(project, job)
        if over is not None:
            self._blobs.delete(project, blob)


def _result_of(row: JobRow, modality: str) -> NDArray[np.float32]:
    result: dict[str, Any] = row.result or {}
    if VECTOR in result:
        return np.asarray(result[VECTOR], np.float32)
    if REFUSED in result:
        raise InvalidMedia.of(modality, result[REFUSED])
    raise DependencyUnavailable("The upload was not encoded: a worker failed. Try again.")
