"""Vectors to search, and a slow search that is certainly right."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.index import ItemIndex


@dataclass
class Vectors:
    """Stands for the vectors of a version; both arrays may be replaced by larger ones."""

    values: NDArray[np.float32]
    present: NDArray[np.bool_]

    def write(self, row: int, vector: NDArray[np.float32] | None) -> NDArray[np.intp]:
        """Change a row, or append one, and give its number as an index is told of it."""
        if (missing := row + 1 - len(self.values)) > 0:
            self.values = np.concatenate([self.values, np.zeros((missing, self.values.shape[1]), np.float32)])
            self.present = np.concatenate([self.present, np.zeros(missing, bool)])
        self.values[row] = 0 if vector is None else vector
        self.present[row] = vector is not None
        return np.array([row])


Build = Callable[[Vectors], ItemIndex]


def catalogue(rows: int, width: int = 16, *, absent: float = 0.0, seed: int = 0) -> Vectors:
    """Random vectors, of which a share is absent."""
    rng = np.random.default_rng(seed)
    present = rng.random(rows) >= absent
    return Vectors(rng.standard_normal((rows, width), np.float32) * present[:, None], present)


def clusters(rows: int, width: int = 16, *, centres: int, spread: float) -> Vectors:
    """Vectors near a few centres, those of one beside each other."""
    rng = np.random.default_rng(0)
    middle = rng.standard_normal((centres, width), np.float32)[np.sort(rng.integers(0, centres, rows))]
    return Vectors(middle + spread * rng.standard_normal((rows, width), np.float32), np.ones(rows, bool))


def users(count: int, width: int = 16) -> NDArray[np.float32]:
    """Random user vectors."""
    return np.random.default_rng(1).standard_normal((count, width), np.float32)


def slow_search(vectors: Vectors, users: NDArray[np.float32], k: int) -> tuple[list[list[int]], list[list[float]]]:
    """Every inner product in fp64, rounded to fp32; sorted by score and row in plain Python."""
    rows, scores = [], []
    for user in users:
        products = [float(np.float32(np.dot(row.astype(float), user.astype(float)))) for row in vectors.values]
        order = sorted((-product, row) for row, product in enumerate(products) if vectors.present[row])[:k]
        rows.append([row for _, row in order] + [-1] * (k - len(order)))
        scores.append([-score for score, _ in order] + [-np.inf] * (k - len(order)))
    return rows, scores


def assert_exact(index: ItemIndex, vectors: Vectors, users: NDArray[np.float32], k: int) -> None:
    """The index gives what the slow search gives."""
    rows, scores = index.search(users, k)
    expected_rows, expected_scores = slow_search(vectors, users, k)
    assert rows.tolist() == expected_rows
    assert scores.tolist() == expected_scores
    assert (rows.dtype, scores.dtype) == (np.int64, np.float32)
