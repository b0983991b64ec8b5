"""The worker's side of a search by upload: decode, encode, and make the item vector that somebody waits for."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from app.core.errors import InvalidMedia, ModelNotFound
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Database
from app.db.tables import JobRow, ModelVersionRow
from app.jobs.run import JobInterrupted, JobRun, JobStopped
from app.models.vectors import open_item_tower
from app.stores.artifacts import ArtifactStore
from app.stores.blobs import BlobStore
from model.artifact import load_manifest

VECTOR = "vector"
REFUSED = "refused"
STALE_S = 60.0
"""Nobody waits any more for an answer to a question that is older."""


class Encode(Protocol):
    """Hidden states [layers, width] of one medium, as `EncodingService.encode_one` gives them."""

    def __call__(self, project: ProjectId, modality: str, fingerprint: str, blob: bytes, /) -> NDArray[np.float16]:
        """Raises InvalidMedia when it cannot be encoded."""


class QueryAnswerer:
    """Answers questions for vectors of uploads.

    Args:
        database: holds the questions.
        blobs: hold the uploads, each under a name that only its question knows.
        artifacts: published versions.
        encode: runs the encoders.
    """

    def __init__(self, database: Database, blobs: BlobStore, artifacts: ArtifactStore, *, encode: Encode) -> None:
        self._database = database
        self._blobs = blobs
        self._artifacts = artifacts
        self._encode = encode

    def waiting(self) -> list[UUID]:
        """Questions of all projects that nobody has begun with, the oldest first."""
        with self._database.transaction() as transaction:
            query = select(JobRow.id).where(JobRow.kind == JobKind.QUERY, JobRow.state == JobState.QUEUED)
            return list(transaction.session.scalars(query.order_by(JobRow.created_at)))

    def answer(self, run: JobRun) -> None:
        """Leave the vector, or why there is none, in the job's result; the upload goes."""
        try:
            result = self._result(run)
            with self._database.transaction() as transaction:
                run.finish(transaction, result)
        except (JobStopped, JobInterrupted, OperationalError):
            # Another attempt will need the upload.
            raise
        except BaseException:
            self._blobs.delete(run.project, run.payload["blob"])
            raise
        self._blobs.delete(run.project, run.payload["blob"])

    def _result(self, run: JobRun) -> Mapping[str, Any]:
        if self._is_stale(run):
            return {REFUSED: "nobody waits for the answer any more"}
        try:
            return {VECTOR: self._vector(run).tolist()}
        except InvalidMedia as error:
            return {REFUSED: error.errors[0]["message"]}
        except FileNotFoundError:
            return {REFUSED: "the upload is gone"}

    def _is_stale(self, run: JobRun) -> bool:
        with self._database.transaction() as transaction:
            age = func.extract("epoch", func.now() - JobRow.created_at)
            return bool(transaction.session.scalars(select(age > STALE_S).where(JobRow.id == run.id)).one())

    def _vector(self, run: JobRun) -> NDArray[np.float32]:
        modality: str = run.payload["modality"]
        with self._database.transaction() as transaction:
            row = transaction.session.get(ModelVersionRow, run.payload["version_id"])
        if row is None or row.project_id != run.project:
            raise ModelNotFound("of the question")
        folder = self._artifacts.path(row.artifact)
        entry = {one.name: one for one in load_manifest(folder).modalities}[modality]
        blob = self._blobs.get(run.project, run.payload["blob"])
        states = self._encode(run.project, modality, entry.encoder, blob)
        return vector_of(self._artifacts, row.artifact, modality, states)


def vector_of(
    artifacts: ArtifactStore, artifact: str, modality: str, states: NDArray[np.float16]
) -> NDArray[np.float32]:
    """The item vector [d] that a version makes of one modality's states [layers, width] alone."""
    tower = open_item_tower(artifacts.path(artifact))
    present = np.array([[name == modality for name in tower.modalities]])
    vectors, _ = tower.encode({modality: states[None]}, present)
    vector: NDArray[np.float32] = vectors[0]
    return vector
