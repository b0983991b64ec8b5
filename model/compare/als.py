"""Alternating least squares by the library `implicit`: matrix factorisation on who did what, without order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.compare.plan import ALS_NEEDS
from model.data.dataset import Interactions
from model.evaluation.ranking import Scorer

FACTORS = 32
"""Chosen, with what follows, by validation NDCG@10 on a log of 94,000 events; 64 and 128 were worse."""
ITERATIONS = 15
REGULARIZATION = 0.05
CONFIDENCE = 2.0
"""alpha of the library: how much more an event weighs than none."""


class MissingLibrary(Exception):
    """The extra `compare` is not installed."""


def als(train: Interactions, item_count: int) -> Scorer:
    """Fits item factors; a user's factors are solved from their history when they are asked about.

    Raises:
        MissingLibrary: `implicit` is not installed.
    """
    try:
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise MissingLibrary(ALS_NEEDS) from error

    def matrix(events: Interactions) -> csr_matrix:
        """Users by items: 1 where there was an event."""
        ones = np.ones(len(events.items), dtype=np.float32)
        counted = csr_matrix((ones, events.items, events.offsets), shape=(len(events), item_count))
        counted.sum_duplicates()
        counted.data[:] = 1.0
        return counted

    # The library asks for it: many threads on tiny matrices take longer than one.
    with threadpool_limits(1, "blas"):
        fitted = AlternatingLeastSquares(
            factors=FACTORS,
            iterations=ITERATIONS,
            regularization=REGULARIZATION,
            alpha=CONFIDENCE,
            random_state=0,
            num_threads=1,
        )
        fitted.fit(matrix(train), show_progress=False)

    def score(history: Interactions) -> NDArray[np.float32]:
        users = fitted.recalculate_user(np.arange(len(history)), matrix(history))
        scores: NDArray[np.float32] = (users @ fitted.item_factors.T).astype(np.float32)
        return scores

    return score
