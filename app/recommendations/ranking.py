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
    k = min(k, len(scores))
    best = np.argpartition(scores, len(scores) - k)[len(scores) - k :] if k < len(scores) else np.arange(len(scores))
    best = best[np.lexsort((best, -scores[best]))]
    best = best[np.isfinite(scores[best])]
    return best, scores[best]
