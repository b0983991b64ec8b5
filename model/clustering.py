"""k-means: a few centres that points gather around (Lloyd 1982, started as in Arthur and Vassilvitskii 2007)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROUNDS = 50
STARTS = 8


def k_means(points: NDArray[np.float64], count: int, *, seed: int = 0) -> NDArray[np.float64]:
    """Finds centres with a small sum of squared distances from each point to its nearest one.

    Args:
        points: float64 [n, d], n >= 1.
        count: k, the number of centres. With fewer different points than that some centres are equal.
        seed: of the starts; the best of eight is returned.

    Returns:
        Centres float64 [k, d].
    """
    rng = np.random.default_rng(seed)
    found = [_settled(points, _spread_out(points, count, rng)) for _ in range(STARTS)]
    return min(found, key=lambda centres: float(_distances(points, centres).min(axis=1).sum()))


def _spread_out(points: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draws points as first centres, each with a probability that grows with its distance from those before it."""
    centres = points[rng.integers(len(points), size=1)]
    while len(centres) < count:
        far = _distances(points, centres).min(axis=1)
        chances = far / far.sum() if far.sum() > 0 else None
        centres = np.concatenate([centres, points[rng.choice(len(points), size=1, p=chances)]])
    return centres


def _settled(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moves every centre to the mean of the points nearest to it until none moves; one without points stays."""
    for _ in range(ROUNDS):
        nearest = _distances(points, centres).argmin(axis=1)
        counts = np.bincount(nearest, minlength=len(centres))
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        moved = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)
        if np.allclose(moved, centres, rtol=0, atol=1e-9):
            break
        centres = moved
    return centres


def _distances(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns squared distances [n, k]."""
    squared = (points**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * points @ centres.T
    return np.asarray(np.maximum(squared, 0.0))
