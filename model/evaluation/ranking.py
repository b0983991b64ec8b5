"""Ranking of a whole catalogue for held-out users, whatever gives the scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model import metrics
from model.data.batch import last_events
from model.data.dataset import Interactions
from model.data.splits import Holdout

USERS_AT_ONCE = 256

# Histories of b users → scores [b, n].
Scorer = Callable[[Interactions], NDArray[np.float32]]
# Item vectors [b, s, d] and lengths [b] → user vectors [b, d].
Encode = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class Ranking:
    """Answers to the questions of a holdout.

    Attributes:
        ranks: int64 [u], the place of each user's target, 1 being the best.
        top: int64 [u, k], the items that the user would be shown, best first; -1 where there are fewer.
    """

    ranks: NDArray[np.int64]
    top: NDArray[np.int64]


def rank_holdout(holdout: Holdout, score: Scorer, rankable: NDArray[np.bool_] | None = None, *, k: int = 10) -> Ranking:
    """Ranks the whole catalogue for each user, without what is in their history.

    A target that is in the history as well is ranked like any other, but it is not in the top, as nobody is shown
    what they have seen.

    Args:
        holdout: u users' histories and targets, one at least.
        score: gives the scores [b, n] for the histories of b users.
        rankable: bool [n], the items that the model can score. Others are never in the answer, and a target among
            them counts as the last of the catalogue. None: all.
        k: length of the top lists.
    """
    ranks, top = [], []
    for start in range(0, len(holdout.targets), USERS_AT_ONCE):
        stop = min(start + USERS_AT_ONCE, len(holdout.targets))
        history, targets = holdout.history.part(start, stop), holdout.targets[start:stop]
        scores = score(history)
        excluded = np.zeros(scores.shape, dtype=np.bool_)
        excluded[history.users, history.items] = True
        if rankable is not None:
            excluded |= ~rankable
        ranks.append(metrics.ranks(scores, targets, excluded))
        if k:
            top.append(metrics.top_items(scores, excluded, k))
    found = np.concatenate(ranks)
    if rankable is not None:
        found = np.where(rankable[holdout.targets], found, len(rankable))
    return Ranking(found, np.concatenate(top) if k else np.empty((len(found), 0), dtype=np.int64))


def holdout_ranks(holdout: Holdout, score: Scorer, rankable: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Returns the ranks alone, int64 [u], see `rank_holdout`."""
    return rank_holdout(holdout, score, rankable, k=0).ranks


def vector_scorer(vectors: NDArray[np.float32], encode: Encode, max_length: int) -> Scorer:
    """Returns a scorer by inner product: the user's last items → vector → item vectors [n, d]."""

    def score(history: Interactions) -> NDArray[np.float32]:
        items, lengths = last_events(history, max_length)
        return encode(vectors[np.maximum(items, 0)], lengths) @ vectors.T

    return score
