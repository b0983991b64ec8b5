"""Gets the vectors of versions that are to be served from this machine's files, before a snapshot is taken."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from app.core.types import ProjectId, VersionId
from app.recommendations.matrix_file import Matrix
from app.recommendations.matrix_store import MatrixKey, MatrixStore
from app.recommendations.served import PublishedVersion
from app.stores.artifacts import ArtifactStore
from model.artifact import ArtifactError, load_manifest

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Vectors by version, each as of a moment of its own.

    Attributes:
        matrices: of the versions that have any; those of the others are read in the snapshot.
        forget: removes the file of a version that has turned out to be wrong.
    """

    matrices: Mapping[VersionId, Matrix]
    forget: Callable[[VersionId], None]


class Preparer:
    """For one project.

    Args:
        project: whose versions.
        artifacts: tell the shape of the vectors.
        store: the files; None keeps everything in memory of the process's own.
    """

    def __init__(self, project: ProjectId, artifacts: ArtifactStore, store: MatrixStore | None) -> None:
        self._project = project
        self._artifacts = artifacts
        self._store = store

    def prepare(self, versions: Iterable[PublishedVersion], *, pks: NDArray[np.int64] | None) -> Prepared:
        """What can be had of these versions; of one that can't be read there is nothing.

        Args:
            versions: all different.
            pks: the items of the catalogue that the vectors will stand beside, None for one that is read anew.
        """
        if self._store is None:
            return Prepared({}, lambda version: None)
        store, project = self._store, self._project
        found: dict[VersionId, Matrix] = {}
        for version in versions:
            try:
                found[version.id] = store.load(self._key(version), pks=pks)
            except (ArtifactError, OSError) as error:
                log.warning("no file of item vectors", project=project, version=version.name, error=str(error))
        return Prepared(found, lambda version: store.forget(project, version))

    def keep_only(self, versions: Iterable[PublishedVersion]) -> None:
        """Remove files of versions that have not been served for a while."""
        if self._store is not None:
            self._store.keep_only(self._project, [version.id for version in versions])

    def _key(self, version: PublishedVersion) -> MatrixKey:
        manifest = load_manifest(self._artifacts.path(version.artifact))
        return MatrixKey(
            project=self._project,
            version=version.id,
            artifact=version.artifact,
            width=manifest.item_width,
            modalities=len(manifest.modalities),
        )
