"""Which versions a project serves, and what has changed of their vectors."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

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


class VersionReader:
    """Reads the versions in one snapshot; one that can't be loaded harms no other.

    Args:
        repository: the snapshot.
        artifacts: published versions.
        held: versions in memory, by name.
        start: transaction to begin with; from the start, the vectors of all are read.
        row_of: where items are in the catalogue that the vectors will stand beside.
    """

    def __init__(
        self,
        repository: CatalogueRepository,
        artifacts: ArtifactStore,
        *,
        held: Mapping[str, ServedVersion],
        start: int,
        row_of: Mapping[str, int],
    ) -> None:
        self._repository = repository
        self._artifacts = artifacts
        self._held = held
        self._start = start
        self._row_of = row_of
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
        vectors = ItemVectors(width=version.width, modalities=version.modalities)
        vectors.apply(self._repository.changed_vectors(version.id, since=FROM_THE_START), self._row_of)
        return vectors
