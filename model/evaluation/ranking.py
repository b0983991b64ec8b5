"""Ranking of a whole catalogue for held-out users, whatever gives the scores."""

from __future__ import annotations

from collections.abc import Callable

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


def holdout_ranks(holdout: Holdout, score: Scorer, rankable: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """Returns the rank of each user's target in the whole catalogue, without what is in their history.

    Args:
        holdout: u users' histories and targets.
        score: gives the scores [b, n] for the histories of b users.
        rankable: bool [n], the items that the model can score. Others are never in the answer, and a target among
            them counts as the last of the catalogue. None: all.

    Returns:
        int64 [u], 1 being the best.
    """
    found = []
    for start in range(0, len(holdout.targets), USERS_AT_ONCE):
        stop = min(start + USERS_AT_ONCE, len(holdout.targets))
        history, targets = holdout.history.part(start, stop), holdout.targets[start:stop]
        scores = score(history)
        excluded = np.zeros(scores.shape, dtype=np.bool_)
        excluded[history.users, history.items] = True
        if rankable is not None:
            excluded |= ~rankable
        found.append(metrics.ranks(scores, targets, excluded))
    ranks = np.concatenate(found)
    return ranks if rankable is None else np.where(rankable[holdout.targets], ranks, len(rankable))


def vector_scorer(vectors: NDArray[np.float32], encode: Encode, max_length: int) -> Scorer:
    """Returns a scorer by inner product: the user's last items → vector → item vectors [n, d]."""

    def score(history: Interactions) -> NDArray[np.float32]:
        items, lengths = last_events(history, max_length)
        return encode(vectors[np.maximum(items, 0)], lengths) @ vectors.T

    return score
