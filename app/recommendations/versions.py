"""Which versions a project serves, and what has changed of their vectors."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog
from numpy.typing import NDArray

from app.recommendations.matrix_file import Matrix
from app.recommendations.matrix_preparing import Prepared
from app.recommendations.matrix_repository import MatrixRepository
from app.recommendations.repository import FROM_THE_START, CatalogueRepository
from app.recommendations.served import PublishedVersion, ServedVersion, load_version
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.stores.artifacts import ArtifactStore
from model.artifact import ArtifactError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class VersionsLook:
    """The versions to serve from now on.

    Attributes:
        live: name of the live one.
        served: by name; one that is new here is complete, and nobody shares it yet.
        changes: of the vectors of those that were served before.
    """

    live: str | None
    served: Mapping[str, ServedVersion]
    changes: Mapping[str, Sequence[VectorUpdate]]


@dataclass(frozen=True)
class ItemRows:
    """Where items are in the catalogue that the vectors will stand beside.

    Attributes:
        row_of: by id.
        pks: gives their numbers by row [n].
    """

    row_of: Mapping[str, int]
    pks: Callable[[], NDArray[np.int64]]


class VersionReader:
    """Reads the versions in one snapshot; one that can't be loaded harms no other.

    Args:
        repository: the snapshot.
        artifacts: published versions.
        held: versions in memory, by name.
        start: transaction to begin with; from the start, the vectors of all are read.
        rows: of the catalogue.
        prepared: vectors of versions that are not held, from before the snapshot.
    """

    def __init__(
        self,
        repository: CatalogueRepository,
        artifacts: ArtifactStore,
        *,
        held: Mapping[str, ServedVersion],
        start: int,
        rows: ItemRows,
        prepared: Prepared,
    ) -> None:
        self._repository = repository
        self._artifacts = artifacts
        self._held = held
        self._start = start
        self._rows = rows
        self._prepared = prepared
        self._served: dict[str, ServedVersion] = {}
        self._changes: dict[str, Sequence[VectorUpdate]] = {}

    def read(self, *, live: ServedVersion | None, named: Collection[str]) -> VersionsLook:
        """The live version and the named ones; `live`, the one so far, goes on when the new one can't be loaded."""
        pointed = self._repository.live()
        for version in self._repository.named(named):
            self._serve(version)
        if pointed is None:
            return VersionsLook(None, self._served, self._changes)
        if not self._serve(pointed):
            pointed = live.published if live else pointed
            self._serve(pointed)
        return VersionsLook(pointed.name, self._served, self._changes)

    def _serve(self, version: PublishedVersion) -> bool:
        if version.name in self._served:
            return True
        held = self._held.get(version.name)
        known = held if held is not None and held.published == version else None
        if known is not None and self._start != FROM_THE_START:
            self._served[version.name] = known
            self._changes[version.name] = self._repository.changed_vectors(version.id, since=self._start)
            return True
        loaded = known or self._load(version)
        if loaded is not None:
            self._served[version.name] = replace(loaded, vectors=self._all_vectors(loaded))
        return loaded is not None

    def _load(self, version: PublishedVersion) -> ServedVersion | None:
        try:
            return load_version(version, self._artifacts.path(version.artifact))
        except (ArtifactError, OSError) as error:
            log.error("version not loaded", project=self._repository.project, version=version.name, error=str(error))
            return None

    def _all_vectors(self, version: ServedVersion) -> ItemVectors:
        whole = MatrixRepository(self._repository.transaction, self._repository.project)
        prepared = self._prepared.matrices.get(version.id)
        if prepared is not None:
            vectors = self._in_rows(version, prepared)
            vectors.apply(self._repository.changed_vectors(version.id, since=prepared.start), self._rows.row_of)
            if np.count_nonzero(vectors.present) == whole.count(version.id):
                return vectors
            # Nothing known leads here. But the database may be older than the file: put back by hand, for example.
            log.error("wrong item vectors in a file", project=self._repository.project, version=version.name)
            self._prepared.forget(version.id)
        shape = {"width": version.width, "modalities": len(version.modalities)}
        matrix = Matrix.empty(self._start, self._rows.pks(), **shape)
        whole.fill(matrix, version.id)
        return self._in_rows(version, matrix)

    def _in_rows(self, version: ServedVersion, matrix: Matrix) -> ItemVectors:
        pks = self._rows.pks()
        arrays = matrix.in_rows_of(pks)
        vectors = ItemVectors(width=version.width, modalities=version.modalities, arrays=arrays)
        vectors.extend(len(pks))
        return vectors
