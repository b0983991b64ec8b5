"""The ranking metrics against those of a library that others rely on, from the same scores."""

from collections.abc import Iterator
from types import ModuleType

import numba
import numpy as np
import pytest

from model import metrics

NAMES = {"hr10": "hit_rate@10", "ndcg10": "ndcg@10", "hr50": "hit_rate@50", "mrr": "mrr"}


@pytest.fixture(scope="module")
def ranx() -> Iterator[ModuleType]:
    """The library as plain Python: to compile it takes minutes, to run it on this little data nothing."""
    before, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
    import ranx

    yield ranx
    numba.config.DISABLE_JIT = before


@pytest.mark.parametrize(("seed", "users", "items"), [(0, 1, 60), (1, 40, 60), (2, 25, 300), (3, 60, 8)])
def test_metrics_are_those_of_the_library(ranx: ModuleType, seed: int, users: int, items: int) -> None:
    rng = np.random.default_rng(seed)
    # A permutation has no ties, on whose order libraries do not agree.
    scores = np.stack([rng.permutation(items) for _ in range(users)]).astype(np.float32)
    targets = rng.integers(0, items, users)
    excluded = rng.random((users, items)) < 0.3
    excluded[np.arange(users), targets] = False
    qrels = ranx.Qrels({f"u{user}": {f"i{target}": 1} for user, target in enumerate(targets)})
    run = ranx.Run(
        {
            f"u{user}": {f"i{item}": float(scores[user, item]) for item in np.flatnonzero(~excluded[user])}
            for user in range(users)
        }
    )
    expected = ranx.evaluate(qrels, run, list(NAMES.values()))
    found = metrics.summary(metrics.ranks(scores, targets, excluded))
    # The library works in float64, as we do: the same sums in another order.
    assert {name: found[name] for name in NAMES} == pytest.approx({n: expected[theirs] for n, theirs in NAMES.items()})
