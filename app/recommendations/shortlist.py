"""The best of a whole catalogue for one user, found once: from these a page is taken when it can be proved exact."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.recommendations.vectors import ItemVectors

Rows = NDArray[np.intp]
Scores = NDArray[np.float32]
DOUBT = 1e-5
"""Relative to the largest score: two ways to add up the same products differ by less."""


def scores_of(vectors: ItemVectors, rows: Rows, user: NDArray[np.float32]) -> Scores:
    """Inner products of these rows [r] with the user's vector [d].

    The same for a row whatever rows stand beside it, which no matrix product promises: answers that are computed again
    have the same scores.
    """
    scores: Scores = np.vecdot(vectors.values[rows], user)
    return scores


@dataclass(frozen=True)
class Shortlist:
    """Candidates for one user.

    Attributes:
        user: vector [d].
        rows: of the catalogue [c], best first.
        scores: of these [c], by `scores_of`.
        rest: no other row scores higher; -inf if there is no other.
        revision: of the item vectors at that time.
    """

    user: NDArray[np.float32]
    rows: Rows
    scores: Scores
    rest: float
    revision: int

    @classmethod
    def of(
        cls,
        vectors: ItemVectors,
        user: NDArray[np.float32],
        rows: NDArray[np.int64],
        *,
        worst: float,
        ties: NDArray[np.int64],
    ) -> "Shortlist":
        """From what an index has found.

        Args:
            vectors: of the items.
            user: vector [d].
            rows: that were found [k]; -1 stands for nothing.
            worst: the lowest score among them, as the index adds it up.
            ties: all different [n]; among equal scores the lower one comes first.
        """
        found = rows[rows >= 0].astype(np.intp, copy=False)
        scores = scores_of(vectors, found, user)
        order = np.lexsort((ties[found], -scores))
        doubt = DOUBT * float(np.abs(scores).max(initial=0.0))
        rest = worst + doubt if len(found) == len(rows) else -np.inf
        return cls(user, found[order], scores[order], rest, vectors.revision)

    def reaches(self, count: int) -> bool:
        """Whether it holds so many, or all that there are."""
        return len(self.rows) >= count or self.rest == -np.inf

    def best(self, allowed: NDArray[np.bool_], count: int) -> tuple[Rows, Scores] | None:
        """The best of the allowed rows [n], at most `count`, and their scores; None where others might be better."""
        places = allowed[self.rows].nonzero()[0][:count]
        scores = self.scores[places]
        if self.rest > -np.inf and (len(places) < count or scores[-1] <= self.rest):
            return None
        return self.rows[places], scores
