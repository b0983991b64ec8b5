"""Exact top-k over the item matrix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def top_k(
    user: NDArray[np.float32],
    vectors: NDArray[np.float32],
    *,
    k: int,
    allowed: NDArray[np.bool_],
    excluded: Sequence[int],
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The k rows of highest inner product, best first; ties go to the lower row.

    Args:
        user: vector [d].
        vectors: item matrix [n, d].
        k: rows wanted; fewer come back when fewer are allowed.
        allowed: rows that may be shown [n].
        excluded: rows that may not be.

    Returns:
        Rows [<=k] and their scores [<=k].
    """
    scores = vectors @ user
    scores[~allowed] = -np.inf
    scores[list(excluded)] = -np.inf
    # Every row that ties with the k-th is a candidate, so that the lower rows among them win.
    least = np.partition(scores, -k)[-k] if k < len(scores) else -np.inf
    candidates = np.flatnonzero((scores >= least) & (scores > -np.inf))
    best = candidates[np.argsort(-scores[candidates], kind="stable")][:k]
    return best, scores[best]
