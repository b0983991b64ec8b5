"""The catalogue in memory: ids, titles, vectors and who may be shown, kept up to date row by row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

GROWTH = 1.5
MIN_ROWS = 1_024


@dataclass(frozen=True)
class ItemUpdate:
    """What has changed of one item; `vector` and `shares` are None when the live version has none."""

    item_id: str
    title: str
    available: bool
    published_at: datetime | None
    vector: NDArray[np.float32] | None
    shares: NDArray[np.float32] | None


class Catalogue:
    """Every item of a project under one version.

    Rows are never removed: a deleted item keeps its row and is not eligible. All methods are called from the event
    loop, so a reader never meets half a change.

    Args:
        width: d_e of the version, 0 when there is none.
        modalities: names of the columns of the shares.
    """

    def __init__(self, *, width: int, modalities: Sequence[str]) -> None:
        self.modalities = tuple(modalities)
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.row_of: dict[str, int] = {}
        self._vectors = np.zeros((MIN_ROWS, width), np.float32)
        self._shares = np.zeros((MIN_ROWS, len(modalities)), np.float32)
        self._has_vector = np.zeros(MIN_ROWS, bool)
        self._available = np.zeros(MIN_ROWS, bool)
        self._published = np.zeros(MIN_ROWS, np.float64)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Item vectors [n, d]; a row without a vector is zero."""
        return self._vectors[: len(self)]

    def shares(self, row: int) -> dict[str, float]:
        """How much each modality's expert has in the item's vector."""
        return dict(zip(self.modalities, self._shares[row].tolist(), strict=True))

    def apply(self, updates: Iterable[ItemUpdate]) -> None:
        """Write changed items into their rows."""
        for update in updates:
            row = self._row(update.item_id)
            self.titles[row] = update.title
            self._available[row] = update.available
            self._published[row] = update.published_at.timestamp() if update.published_at else -np.inf
            self._has_vector[row] = update.vector is not None
            self._vectors[row] = 0 if update.vector is None else update.vector
            self._shares[row] = 0 if update.shares is None else update.shares

    def _row(self, item_id: str) -> int:
        row = self.row_of.get(item_id)
        if row is None:
            row = self.row_of[item_id] = len(self.ids)
            self.ids.append(item_id)
            self.titles.append("")
            if row >= len(self._available):
                self._grow(int(row * GROWTH) + 1)
        return row

    def _grow(self, capacity: int) -> None:
        for name in ("_vectors", "_shares", "_has_vector", "_available", "_published"):
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def rows(self, item_ids: Iterable[str]) -> list[int]:
        """Rows of the items that are known, in the given order."""
        get = self.row_of.get
        return [row for item_id in item_ids if (row := get(item_id)) is not None]

    def with_vector(self, rows: Sequence[int]) -> NDArray[np.intp]:
        """Those of the rows that the live version has a vector of, in order."""
        index = np.asarray(rows, np.intp)
        return index[self._has_vector[index]]

    def showable(self, *, now: float) -> NDArray[np.bool_]:
        """Which rows may be shown [n]: available, and published by `now` (seconds since 1970)."""
        n = len(self)
        return self._available[:n] & (self._published[:n] <= now)

    def scorable(self, *, now: float) -> NDArray[np.bool_]:
        """Which rows may be shown and have a vector [n]."""
        return self.showable(now=now) & self._has_vector[: len(self)]
