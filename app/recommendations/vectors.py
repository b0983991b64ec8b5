"""Item vectors of one version in memory, in the rows of the catalogue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recommendations.catalogue import GROWTH, MIN_ROWS, enlarged


@dataclass(frozen=True)
class VectorUpdate:
    """An item's vector [d] and shares [m] under one version, None where it has none."""

    item_id: str
    vector: NDArray[np.float32] | None
    shares: NDArray[np.float32] | None


class ItemVectors:
    """What one version knows of the items; rows are those of the catalogue beside it.

    Args:
        width: d of the version.
        modalities: names of the columns of the shares.
    """

    def __init__(self, *, width: int, modalities: Sequence[str]) -> None:
        self.modalities = tuple(modalities)
        self._rows = 0
        self._values = np.zeros((MIN_ROWS, width), np.float32)
        self._shares = np.zeros((MIN_ROWS, len(modalities)), np.float32)
        self._present = np.zeros(MIN_ROWS, bool)

    def __len__(self) -> int:
        return self._rows

    @property
    def values(self) -> NDArray[np.float32]:
        """Item vectors [n, d]; a row without a vector is zero."""
        return self._values[: self._rows]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which rows have a vector [n]."""
        return self._present[: self._rows]

    @property
    def size_bytes(self) -> int:
        """Memory held, room for growth included."""
        return self._values.nbytes + self._shares.nbytes + self._present.nbytes

    def shares(self, row: int) -> dict[str, float]:
        """How much each modality's expert has in the item's vector."""
        return dict(zip(self.modalities, self._shares[row].tolist(), strict=True))

    def with_vector(self, rows: Sequence[int]) -> NDArray[np.intp]:
        """Those of the rows that the version has a vector of, in order."""
        index = np.asarray(rows, np.intp)
        return index[self._present[index]]

    def extend(self, rows: int) -> None:
        """Have as many rows as the catalogue."""
        self._rows = max(rows, self._rows)
        if self._rows > len(self._present):
            capacity = int(self._rows * GROWTH)
            self._values = enlarged(self._values, capacity)
            self._shares = enlarged(self._shares, capacity)
            self._present = enlarged(self._present, capacity)

    def apply(self, updates: Iterable[VectorUpdate], row_of: Mapping[str, int]) -> None:
        """Write changed vectors into the rows of their items; items that the catalogue does not have are left out."""
        for update in updates:
            row = row_of.get(update.item_id)
            if row is None:
                continue
            self.extend(row + 1)
            self._present[row] = update.vector is not None
            self._values[row] = 0 if update.vector is None else update.vector
            self._shares[row] = 0 if update.shares is None else update.shares
