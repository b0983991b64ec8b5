"""Lists of codes by row, flat in two arrays: a code is looked for in all rows at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GROWTH = 1.5
MIN_ENTRIES = 256
DEAD = -1
FEW = 4
"""Codes that are compared one by one."""


class Ragged:
    """A row's codes stand together; those of a row that has changed are dead until the arrays are made anew."""

    def __init__(self) -> None:
        self._rows = np.zeros(0, np.int32)
        self._codes = np.zeros(0, np.int32)
        self._used = 0
        self._dead = 0
        self._spans = np.zeros((0, 2), np.int32)

    def __len__(self) -> int:
        return self._used - self._dead

    @property
    def size_bytes(self) -> int:
        """Memory of the arrays, room for growth included."""
        return self._rows.nbytes + self._codes.nbytes + self._spans.nbytes

    def fill(self, rows: Sequence[int], lengths: Sequence[int], codes: Sequence[int]) -> None:
        """Give rows, which have none, so many of the codes each."""
        self._make_room(len(codes))
        self._reach(max(rows))
        start, end = self._used, self._used + len(codes)
        self._rows[start:end] = np.repeat(np.asarray(rows, np.int32), lengths)
        self._codes[start:end] = codes
        ends = start + np.cumsum(lengths)
        self._spans[list(rows)] = np.stack([ends - lengths, ends], axis=1)
        self._used = end

    def put(self, row: int, codes: Sequence[int]) -> None:
        """Give a row, which has none, its codes."""
        if not codes:
            return
        if self._used + len(codes) > len(self._codes):
            self._make_room(len(codes))
        self._reach(row)
        end = self._used + len(codes)
        self._rows[self._used : end] = row
        self._codes[self._used : end] = codes
        self._spans[row] = self._used, end
        self._used = end

    def drop(self, row: int) -> None:
        """Take a row's codes away."""
        if row < len(self._spans):
            start, end = self._spans[row]
            self._codes[start:end] = DEAD
            self._dead += int(end - start)
            self._spans[row] = 0

    def _reach(self, row: int) -> None:
        if row >= len(self._spans):
            spans = np.zeros((max(MIN_ENTRIES, int((row + 1) * GROWTH)), 2), np.int32)
            spans[: len(self._spans)] = self._spans
            self._spans = spans

    def _make_room(self, more: int) -> None:
        """Leave out what is dead, and make room."""
        is_alive = self._codes[: self._used] != DEAD
        alive = np.flatnonzero(is_alive)
        capacity = max(MIN_ENTRIES, int((len(alive) + more) * GROWTH))
        rows, codes = np.zeros(capacity, np.int32), np.zeros(capacity, np.int32)
        rows[: len(alive)], codes[: len(alive)] = self._rows[alive], self._codes[alive]
        self._spans = np.concatenate([[0], np.cumsum(is_alive)]).astype(np.int32)[self._spans]
        self._rows, self._codes, self._used, self._dead = rows, codes, len(alive), 0

    def mark(self, wanted: Sequence[int], found: NDArray[np.bool_]) -> None:
        """Set `found` for every row that has one of the codes."""
        found[self._rows[: self._used][among(self._codes[: self._used], wanted)]] = True


def among(codes: NDArray[np.int32], wanted: Sequence[int]) -> NDArray[np.bool_]:
    """Which codes are wanted [n]; -1 never is."""
    found: NDArray[np.bool_]
    if len(wanted) <= FEW:
        found = codes == wanted[0]
        for code in wanted[1:]:
            found |= codes == code
        return found
    # The last entry is that of code -1.
    table = np.zeros(max(wanted) + 2, bool)
    table[list(wanted)] = True
    found = table[np.minimum(codes, len(table) - 1)]
    return found
