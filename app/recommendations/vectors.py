"""Item vectors of one version in memory, in the rows of the catalogue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.recommendations.catalogue import GROWTH, MIN_ROWS, enlarged
from app.recommendations.search.refining import norms

_revisions = count(1)
"""One sequence for all vectors of a process: a number kept from other vectors is older than every row of new ones."""
SHARES_KEPT = 50_000
"""Rows whose shares are kept ready: most answers are about few items. 300 to 500 bytes each."""


@dataclass(frozen=True)
class VectorUpdate:
    """An item's vector [d] and shares [m] under one version, None where it has none."""

    item_id: str
    vector: NDArray[np.float32] | None
    shares: NDArray[np.float32] | None


@dataclass(frozen=True)
class VectorArrays:
    """Memory for vectors, with room for `capacity` rows; rows that nobody has written are zero.

    Attributes:
        values: vectors [capacity, d].
        shares: of the modalities [capacity, m].
        present: which rows have a vector [capacity].
    """

    values: NDArray[np.float32]
    shares: NDArray[np.float32]
    present: NDArray[np.bool_]

    @classmethod
    def empty(cls, capacity: int, *, width: int, modalities: int) -> "VectorArrays":
        """Memory of this process's own."""
        return cls(
            np.zeros((capacity, width), np.float32),
            np.zeros((capacity, modalities), np.float32),
            np.zeros(capacity, bool),
        )

    @property
    def all(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Values, shares, presence."""
        return self.values, self.shares, self.present

    def enlarged(self, capacity: int) -> "VectorArrays":
        """A copy with more room."""
        return VectorArrays(*(enlarged(array, capacity) for array in self.all))


class _Shares(NamedTuple):
    """Shares of the modalities, by row, as they were under a revision."""

    revision: int
    of_row: dict[int, dict[str, float]]


class ItemVectors:
    """What one version knows of the items; rows are those of the catalogue beside it.

    Args:
        width: d of the version.
        modalities: names of the columns of the shares.
        arrays: vectors that are there already, in memory that is written into; new memory without.
    """

    def __init__(self, *, width: int, modalities: Sequence[str], arrays: VectorArrays | None = None) -> None:
        self.modalities = tuple(modalities)
        self._rows = 0
        self._arrays = arrays or VectorArrays.empty(MIN_ROWS, width=width, modalities=len(modalities))
        self._first = self.revision = next(_revisions)
        """Grows with every change."""
        self._changed = np.zeros(len(self._arrays.present), np.int64)
        self.searched_by: object = None
        """The index that is told of every change; what another one finds may be old."""
        self._longest: float | None = None
        self._shares = _Shares(self.revision, {})
        self._among: tuple[NDArray[np.bool_], int, NDArray[np.bool_], int] | None = None

    def __len__(self) -> int:
        return self._rows

    @property
    def values(self) -> NDArray[np.float32]:
        """Item vectors [n, d]; a row without a vector is zero."""
        return self._arrays.values[: self._rows]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which rows have a vector [n]."""
        return self._arrays.present[: self._rows]

    @property
    def size_bytes(self) -> int:
        """Memory of the rows; of vectors that are mapped from a file nearly all of it is shared between processes."""
        return sum(array[: self._rows].nbytes for array in (*self._arrays.all, self._changed))

    @property
    def longest(self) -> float:
        """No vector is longer; those that were here once count too."""
        if self._longest is None:
            self._longest = _longest(self.values)
        return self._longest

    def shares(self, row: int) -> dict[str, float]:
        """How much each modality's expert has in the item's vector."""
        return dict(zip(self.modalities, self._arrays.shares[row].tolist(), strict=True))

    def shares_of(self, rows: Sequence[int]) -> list[dict[str, float]]:
        """The same of each of the rows; not to be changed, they are kept while no vector changes."""
        kept = self._shares
        if kept.revision != self.revision or len(kept.of_row) > SHARES_KEPT:
            kept = self._shares = _Shares(self.revision, {})
        for row in rows:
            if row not in kept.of_row:
                kept.of_row[row] = self.shares(row)
        return [kept.of_row[row] for row in rows]

    def with_vector(self, rows: Sequence[int] | NDArray[np.integer]) -> NDArray[np.intp]:
        """Those of the rows that the version has a vector of, in order."""
        index = np.asarray(rows, np.intp)
        return index[self._arrays.present[index]]

    def among(self, rows: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], int]:
        """Which of these rows [n] have a vector, and how many; the mask, read-only, is kept while it is asked for."""
        kept = self._among
        if kept is None or kept[0] is not rows or kept[1] != self.revision:
            found = rows & self.present
            found.flags.writeable = False
            kept = self._among = rows, self.revision, found, int(np.count_nonzero(found))
        return kept[2], kept[3]

    def changed_since(self, rows: Sequence[int] | NDArray[np.integer], revision: int) -> bool:
        """Whether any of the rows was written after `revision`, or that is a revision of other vectors than these."""
        if revision < self._first:
            return True
        return revision < self.revision and bool((self._changed[np.asarray(rows, np.intp)] > revision).any())

    def rows_since(self, revision: int) -> NDArray[np.intp]:
        """The rows that were written after a revision of these vectors."""
        return np.flatnonzero(self._changed[: self._rows] > revision)

    def extend(self, rows: int) -> None:
        """Have as many rows as the catalogue."""
        self._rows = max(rows, self._rows)
        if self._rows > len(self._changed):
            capacity = int(self._rows * GROWTH)
            self._arrays = self._arrays.enlarged(capacity)
            self._changed = enlarged(self._changed, capacity)

    def apply(self, updates: Iterable[VectorUpdate], row_of: Mapping[str, int]) -> NDArray[np.intp]:
        """Write changed vectors into the rows of their items; items that the catalogue does not have are left out.

        Returns:
            The rows that were written.
        """
        # Of several updates of an item the last one counts.
        last = {row: one for one in updates if (row := row_of.get(one.item_id)) is not None}
        rows = np.fromiter(last, np.intp, len(last))
        if len(rows):
            self.extend(int(rows.max()) + 1)
            self._write(rows, list(last.values()))
            if self._longest is not None:
                self._longest = max(self._longest, _longest(self._arrays.values[rows]))
            self.revision = next(_revisions)
            self._changed[rows] = self.revision
        return rows

    def announced(self) -> None:
        """Their index knows of the last change too: what was searched before that is of a revision gone by."""
        self.revision = next(_revisions)

    def _write(self, rows: NDArray[np.intp], updates: Sequence[VectorUpdate]) -> None:
        arrays = self._arrays
        arrays.present[rows] = [update.vector is not None for update in updates]
        arrays.values[rows] = _stacked([update.vector for update in updates], arrays.values.shape[1])
        arrays.shares[rows] = _stacked([update.shares for update in updates], arrays.shares.shape[1])


def _stacked(vectors: Sequence[NDArray[np.float32] | None], width: int) -> NDArray[np.float32]:
    """One row for each [n, width], zero for None."""
    nothing = np.zeros(width, np.float32)
    flat = np.concatenate([nothing if vector is None else vector for vector in vectors], dtype=np.float32)
    return flat.reshape(len(vectors), width)


def _longest(vectors: NDArray[np.float32]) -> float:
    return float(norms(vectors).max(initial=0.0))
