"""The mapped item vectors of this machine: one file a version, made by whichever process needs it first (ADR 0010)."""

import fcntl
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from app.core.types import ProjectId, VersionId
from app.db.session import Database
from app.recommendations.matrix_file import DamagedMatrix, Matrix, MatrixHeader, map_matrix, new_matrix
from app.recommendations.matrix_repository import MatrixRepository
from app.recommendations.repository import CatalogueRepository

log = structlog.get_logger(__name__)

ROOM = 2.0
"""So many times its rows may be had before they are copied into memory of the process's own; it takes no disk."""
LARGE_CHANGE = 2_000
MANY_TIMES = 8
"""With more changes than that, and than one row in so many, a file is made anew instead of being brought up to date."""
UNUSED_S = 3_600.0
"""A file of a version that this process does not serve goes when nobody has loaded it for so long."""
SUFFIX, LOCK = ".matrix", ".lock"


@dataclass(frozen=True)
class MatrixKey:
    """Whose vectors, and of which shape.

    Attributes:
        project: of the version.
        version: its number in the database.
        artifact: key of its folder.
        width: d.
        modalities: m.
    """

    project: ProjectId
    version: VersionId
    artifact: str
    width: int
    modalities: int


class MatrixStore:
    """Gives the vectors of a version as of some moment a little while ago.

    Anything below the folder may go at any time: it is made again.

    Args:
        root: the folder.
        database: the truth.
    """

    def __init__(self, root: Path, database: Database) -> None:
        self._root = root
        self._database = database

    def load(self, key: MatrixKey, *, pks: NDArray[np.int64] | None) -> Matrix:
        """Map the file of a version, made anew unless it is good; blocks, also while another process makes it.

        It has its own transactions, begun when the file is nobody else's: whoever goes on from `Matrix.start` in a
        snapshot taken afterwards misses nothing, and never meets anything from after that snapshot.

        Args:
            key: whose vectors.
            pks: the items of a catalogue that is there already; a file in another order is left to others then.
                Without, the order is that of a catalogue which is read anew.
        """
        with self._alone(key), self._database.transaction() as transaction:
            mark = CatalogueRepository(transaction, key.project).mark()
            repository = MatrixRepository(transaction, key.project)
            origin = f"{repository.origin()}/{key.project}/{key.version}/{key.artifact}"
            wanted = repository.item_pks()
            if pks is not None:
                # Items that the catalogue does not know yet will come after those that it does.
                wanted = np.concatenate([pks, np.setdiff1d(wanted, pks)])
            found = self._good(key, origin, repository)
            if found is not None and (pks is not None or found.begins(wanted)):
                self._path(key.project, key.version).touch()
                return found
            return self._made(key, MatrixRecipe(origin, mark.start, wanted, repository))

    def keep_only(self, project: ProjectId, versions: Collection[VersionId]) -> None:
        """Remove the files of other versions that nobody has loaded for a while, and what killed processes left."""
        kept = {f"{version}{ending}" for version in versions for ending in (SUFFIX, LOCK)}
        for path in (self._root / str(project)).glob("*"):
            with suppress(FileNotFoundError):
                if path.name not in kept and path.stat().st_mtime < time.time() - UNUSED_S:
                    path.unlink()

    def forget(self, project: ProjectId, version: VersionId) -> None:
        """Remove a file that has turned out to be wrong."""
        self._path(project, version).unlink(missing_ok=True)

    def _path(self, project: ProjectId, version: VersionId) -> Path:
        return self._root / str(project) / f"{version}{SUFFIX}"

    @contextmanager
    def _alone(self, key: MatrixKey) -> Iterator[None]:
        path = self._path(key.project, key.version).with_suffix(LOCK)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _good(self, key: MatrixKey, origin: str, repository: MatrixRepository) -> Matrix | None:
        """What is in the file, unless it is damaged, foreign, or too old to be brought up to date."""
        try:
            found = map_matrix(self._path(key.project, key.version), origin=origin)
        except FileNotFoundError:
            return None
        except (DamagedMatrix, OSError) as error:
            log.warning("item vectors are read anew", project=key.project, version=key.version, reason=str(error))
            return None
        most = max(LARGE_CHANGE, len(found.pks) // MANY_TIMES)
        is_fresh = repository.is_remembered(found.start) and (
            repository.count_changed(key.version, since=found.start) <= most
        )
        return found if is_fresh else None

    def _made(self, key: MatrixKey, recipe: "MatrixRecipe") -> Matrix:
        """From the database; in memory of this process's own when no file can be written."""
        header = recipe.header(key)
        try:
            with new_matrix(self._path(key.project, key.version), header, recipe.pks) as matrix:
                recipe.repository.fill(matrix, key.version)
            return map_matrix(self._path(key.project, key.version), origin=recipe.origin)
        except OSError as error:
            log.warning("item vectors are not shared", project=key.project, version=key.version, reason=str(error))
        matrix = Matrix.empty(recipe.start, recipe.pks, width=key.width, modalities=key.modalities)
        recipe.repository.fill(matrix, key.version)
        return matrix


@dataclass(frozen=True)
class MatrixRecipe:
    """What a file is made from: the rows of these items, in a snapshot whose changes begin with `start`."""

    origin: str
    start: int
    pks: NDArray[np.int64]
    repository: MatrixRepository

    def header(self, key: MatrixKey) -> MatrixHeader:
        """Of the file."""
        return MatrixHeader(
            origin=self.origin,
            start=self.start,
            rows=len(self.pks),
            capacity=max(1, int(len(self.pks) * ROOM)),
            width=key.width,
            modalities=key.modalities,
        )
