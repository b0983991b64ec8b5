"""The catalogue as recorded answers saw it: one is held, and exchanged when an answer shows that it has changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.core.errors import CatalogueForgotten
from app.core.types import VersionId
from app.db.tables import AnswerRow
from app.off_policy.ranking import NotReproduced, Versions
from app.off_policy.recorded import RecordedRepository
from app.recommendations.as_of import catalogue_as_of
from app.recommendations.catalogue import Catalogue
from app.recommendations.served import PublishedVersion, ServedVersion, load_version
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.recommendations.view import View
from app.stores.artifacts import ArtifactStore
from model.artifact import ArtifactError

MAX_CATALOGUES = 64
"""So many are read; after that, answers that see another one drop out."""


@dataclass(frozen=True)
class Candidate:
    """The version in question and its item vectors as they are now."""

    version: ServedVersion
    updates: Sequence[VectorUpdate]

    def beside(self, catalogue: Catalogue) -> ServedVersion:
        """The version with its vectors in the rows of a catalogue."""
        vectors = ItemVectors(width=self.version.width, modalities=self.version.modalities)
        vectors.apply(self.updates, catalogue.row_of)
        vectors.extend(len(catalogue))
        return replace(self.version, vectors=vectors)


class CatalogueWalk:
    """Goes through answers in the order of time.

    Every process looks at the catalogue every few seconds, so nearly every answer names a snapshot of its own, and
    nearly all of them see the same. An answer that cannot be reproduced says that this one does not.

    Args:
        artifacts: published versions.
        candidate: the version in question.
    """

    def __init__(self, artifacts: ArtifactStore, candidate: Candidate) -> None:
        self._artifacts = artifacts
        self._candidate = candidate
        self._loaded: dict[VersionId, ServedVersion | None] = {}
        self._views: dict[VersionId, Versions] = {}
        self._snapshot: str | None = None
        self._left = MAX_CATALOGUES

    def versions(self, recorded: RecordedRepository, answer: AnswerRow) -> Versions:
        """Both versions beside the catalogue that is held; raises NotReproduced when that cannot be read."""
        served = VersionId(answer.version_id or 0)
        if self._snapshot is None:
            self._snapshot = answer.snapshot
        if served not in self._views:
            self._views[served] = self._read(recorded, self._snapshot, served)
        return self._views[served]

    def move_to(self, answer: AnswerRow) -> bool:
        """Hold the answer's own catalogue from now on; False if that changes nothing, or too many have been read."""
        if answer.snapshot == self._snapshot or self._left <= 0:
            return False
        self._left -= 1
        self._snapshot = answer.snapshot
        self._views = {}
        return True

    def _read(self, recorded: RecordedRepository, snapshot: str, served: VersionId) -> Versions:
        if served not in self._loaded:
            self._loaded[served] = load_if_there(recorded.version(served), self._artifacts)
        version = self._loaded[served]
        if version is None:
            raise NotReproduced
        try:
            catalogue, vectors = catalogue_as_of(
                recorded.transaction, recorded.project, snapshot=snapshot, version=served
            )
        except CatalogueForgotten as error:
            raise NotReproduced from error
        return Versions(
            served=View(catalogue, replace(version, vectors=vectors)),
            candidate=View(catalogue, self._candidate.beside(catalogue)),
        )


def load_if_there(published: PublishedVersion | None, artifacts: ArtifactStore) -> ServedVersion | None:
    """A version without its item vectors, None when its artifact is gone or damaged."""
    if published is None:
        return None
    try:
        return load_version(published, artifacts.path(published.artifact))
    except (ArtifactError, OSError):
        return None
