"""Ranking metrics by exact counting, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def ranks(
    scores: NDArray[np.float32], targets: NDArray[np.int64], excluded: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Returns the rank of each row's target, 1 being the best.

    Ties are counted pessimistically: an item with the target's own score stands before it, so that a model which
    gives everything the same score earns nothing. The target itself is never excluded.

    Args:
        scores: [b, n], higher is better.
        targets: int64 [b].
        excluded: bool [b, n], items that are not in the answer, such as the seen ones.
    """
    own = np.take_along_axis(scores, targets[:, None], axis=1)
    ahead = ~(scores < own)
    if excluded is not None:
        ahead &= ~excluded
    np.put_along_axis(ahead, targets[:, None], True, axis=1)
    counted: NDArray[np.int64] = ahead.sum(axis=1, dtype=np.int64)
    return counted


def hit_rate(ranks: NDArray[np.int64], k: int) -> float:
    """Returns HR@k, the share of targets among the first k."""
    return float(np.mean(ranks <= k))


def ndcg(ranks: NDArray[np.int64], k: int) -> float:
    """Returns NDCG@k for one relevant item a row: the mean of 1 / log2(1 + rank) within the first k."""
    return float(np.mean(np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)))


def mean_reciprocal_rank(ranks: NDArray[np.int64]) -> float:
    """Returns MRR, the mean of 1 / rank over the whole catalogue."""
    return float(np.mean(1.0 / ranks))


def summary(ranks: NDArray[np.int64]) -> dict[str, float]:
    """Returns the metrics that are reported everywhere, by name, and how many users they are of."""
    return {
        "hr10": hit_rate(ranks, 10),
        "ndcg10": ndcg(ranks, 10),
        "hr50": hit_rate(ranks, 50),
        "mrr": mean_reciprocal_rank(ranks),
        "users": float(len(ranks)),
    }
