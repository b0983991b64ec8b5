"""The best of a whole catalogue for one user, found once: from these a page is taken when it can be proved exact."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.refining import inner_products
from app.recommendations.vectors import ItemVectors

Rows = NDArray[np.intp]
Scores = NDArray[np.float32]


def scores_of(vectors: ItemVectors, rows: Rows, user: NDArray[np.float32]) -> Scores:
    """Inner products of these rows [r] with the user's vector [d], as every index adds them up."""
    return inner_products(vectors.values[rows], user)


class Shortlist(NamedTuple):
    """Candidates for one user.

    Attributes:
        user: vector [d].
        rows: of the catalogue [c], best first.
        scores: of these [c].
        rest: no other row scores higher; -inf if there is no other.
        revision: of the item vectors at that time.
    """

    user: NDArray[np.float32]
    rows: Rows
    scores: Scores
    rest: float
    revision: int

    def reaches(self, count: int) -> bool:
        """Whether it holds so many, or all that there are."""
        return len(self.rows) >= count or self.rest == -np.inf

    def best(self, allowed: NDArray[np.bool_], count: int) -> tuple[Rows, Scores] | None:
        """The best of the allowed rows [n], at most `count`, and their scores; None where others might be better."""
        places = allowed[self.rows].nonzero()[0][:count]
        scores = self.scores[places]
        return (self.rows[places], scores) if self.proves(scores, count) else None

    def proves(self, scores: Sequence[float] | Scores, count: int) -> bool:
        """Whether no other row can be better than these scores of its own, best first, `count` of them wanted."""
        return self.rest == -np.inf or (len(scores) >= count and scores[-1] > self.rest)


def shortlists(
    users: Sequence[NDArray[np.float32]],
    rows: NDArray[np.int64],
    scores: Scores,
    *,
    revision: int,
    ties: NDArray[np.int64],
) -> list[Shortlist]:
    """One for each user, from what an index has found.

    Args:
        users: vector of each [d].
        rows: that were found [b, k], best first; -1 stands for nothing.
        scores: of these [b, k].
        revision: of the item vectors that were searched.
        ties: all different [n]; among equal scores the lower one comes first.
    """
    rows = rows.astype(np.intp, copy=False)
    rest = np.where(rows[:, -1] >= 0, scores[:, -1], -np.inf).tolist()
    found = [Shortlist(*one, revision) for one in zip(users, rows, scores, rest, strict=True)]
    is_odd = (rows[:, -1] < 0) | (scores[:, 1:] == scores[:, :-1]).any(axis=1)
    for user in np.flatnonzero(is_odd):
        found[user] = _in_order(found[user], ties)
    return found


def _in_order(found: Shortlist, ties: NDArray[np.int64]) -> Shortlist:
    """Without those that stand for nothing, and with equal scores in the order of `ties`."""
    count = int(np.count_nonzero(found.rows >= 0))
    rows, scores = found.rows[:count], found.scores[:count]
    order = np.lexsort((ties[rows], -scores))
    return found._replace(rows=rows[order], scores=scores[order])
