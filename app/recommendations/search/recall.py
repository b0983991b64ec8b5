"""Measures an index on the catalogue's own vectors, against the exact answers to made-up users."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.index import ItemIndex, Scores, VectorSource

USERS = 200
LIKED = 4
NOISE = 0.3
SEED = 0


@dataclass(frozen=True)
class Truth:
    """Users and the exact scores of their best items.

    Attributes:
        users: vectors [b, d].
        scores: of the k best [b, k], best first.
    """

    users: NDArray[np.float32]
    scores: Scores

    @property
    def k(self) -> int:
        """Items asked for."""
        return len(self.scores[0])

    def recall(self, index: ItemIndex) -> float:
        """Share of the best k that an index finds; one that ties with the k-th is as good."""
        _, found = index.search(self.users, self.k)
        return float((found >= self.scores[:, -1:]).mean())


def truths(vectors: VectorSource, exact: ExactIndex, depths: tuple[int, ...]) -> list[Truth]:
    """What there is to find at several depths, none deeper than the catalogue; it has at least one item."""
    users = like_users(vectors)
    items = int(np.count_nonzero(vectors.present))
    _, scores = exact.search(users, min(max(depths), items))
    return [Truth(users, scores[:, :depth]) for depth in sorted({min(depth, items) for depth in depths})]


def like_users(vectors: VectorSource) -> NDArray[np.float32]:
    """User vectors [b, d]: the mean of a few items' vectors, and noise of a part of its length."""
    rng = np.random.default_rng(SEED)
    rows = np.flatnonzero(vectors.present)
    means = vectors.values[rng.choice(rows, (USERS, LIKED))].mean(axis=1)
    noise = rng.standard_normal(means.shape) * NOISE * means.std()
    users: NDArray[np.float32] = (means + noise).astype(np.float32)
    return users
