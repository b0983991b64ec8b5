"""Diversity: each place goes to what is relevant and unlike the items above it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.recommendations.candidates import Pool


class Diversity:
    """Maximal marginal relevance (Carbonell and Goldstein 1998) of the candidates of one pool.

    The next item maximises (1 - δ) · relevance - δ · (highest cosine with an item above), with the relevance scaled
    so that the pool's best has 1 and its last 0; nothing above counts as a cosine of 0, and so does a missing vector.

    Args:
        pool: the candidates [c].
        vectors: item vectors [n, d], None without a version.
        weight: δ.
        above: rows that have a place already.
    """

    def __init__(self, pool: Pool, vectors: NDArray[np.float32] | None, weight: float, above: Sequence[int]) -> None:
        self._weight = weight
        self._vectors = vectors
        self._relevance = (1 - weight) * _scaled(pool.merit.astype(np.float64))
        self._units = None if vectors is None else unit(vectors[pool.rows])
        # All with all in one product: one by one takes five times as long for a long page.
        self._cosines = None if self._units is None else self._units @ self._units.T
        self._highest = np.zeros(len(pool.rows), np.float32)
        self._has_above = False
        if vectors is not None and self._units is not None and len(above):
            self._raise_to((self._units @ unit(vectors[list(above)]).T).max(1))

    def best(self, start: int, end: int) -> int:
        """The one of these places in the pool that comes next; the first among equals."""
        marginal = self._relevance[start:end] - self._weight * self._highest[start:end]
        return start + int(np.argmax(marginal))

    def leave_out(self, places: Sequence[int]) -> None:
        """These places of the pool are no candidates any more."""
        self._relevance[list(places)] = -np.inf

    def note(self, place: int) -> None:
        """A place of the pool is in the list now."""
        if self._cosines is not None:
            self._raise_to(self._cosines[place])

    def note_row(self, row: int) -> None:
        """A row from elsewhere is in the list now."""
        if self._units is not None and self._vectors is not None:
            self._raise_to(self._units @ unit(self._vectors[row : row + 1])[0])

    def _raise_to(self, cosines: NDArray[np.float32]) -> None:
        self._highest = np.maximum(self._highest, cosines) if self._has_above else cosines.copy()
        self._has_above = True


def _scaled(merit: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 to 1; all 1 where there is no difference."""
    spread = np.ptp(merit) if len(merit) else 0.0
    return (merit - merit.min()) / spread if spread > 0 else np.ones(len(merit))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors [k, d] of length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units
