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


def top_items(scores: NDArray[np.float32], excluded: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """Returns the k items of highest score in each row, best first; any of those with equal scores.

    Args:
        scores: [b, n], higher is better; what is not a number is in no answer.
        excluded: bool [b, n], items that are in no answer either.
        k: items wanted.

    Returns:
        int64 [b, k], -1 after the last item where a row has fewer.
    """
    allowed = np.where(excluded | np.isnan(scores), -np.inf, scores)
    first = max(scores.shape[1] - k, 0)
    found = np.argpartition(allowed, first, axis=1)[:, first:] if first else np.argsort(allowed, axis=1)
    values = np.take_along_axis(allowed, found, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.where(np.isneginf(values), -1, found)
    padding = ((0, 0), (0, k - best.shape[1]))
    return np.pad(np.take_along_axis(best, order, axis=1), padding, constant_values=-1)


def coverage(top: NDArray[np.int64], rankable: NDArray[np.bool_]) -> float:
    """Returns coverage@k, the share of the rankable items [n] that stand in anyone's top k, int64 [u, k]."""
    shown = np.zeros(len(rankable), dtype=np.bool_)
    shown[top[top >= 0]] = True
    return float((shown & rankable).sum() / max(rankable.sum(), 1))


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
    """Returns the metrics that are reported everywhere, by name, and how many users they are of.

    Of no users there is nothing but that to report.
    """
    if not len(ranks):
        return {"users": 0.0}
    return {
        "hr10": hit_rate(ranks, 10),
        "ndcg10": ndcg(ranks, 10),
        "hr50": hit_rate(ranks, 50),
        "mrr": mean_reciprocal_rank(ranks),
        "users": float(len(ranks)),
    }
