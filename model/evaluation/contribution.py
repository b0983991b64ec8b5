"""What each modality contributes: its share in the item vectors, and what is lost when it is hidden at inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model import metrics
from model.data.dataset import Interactions
from model.data.splits import Holdout
from model.evaluation.ranking import Encode, holdout_ranks, vector_scorer

# Column of a modality → the vectors float32 [n, w] of all items as if none had it.
DescribeWithout = Callable[[int], NDArray[np.float32]]


@dataclass(frozen=True)
class Described:
    """A fitted recommender as it is judged.

    Attributes:
        vectors: float32 [n, w].
        shares: float32 [n, m], the weights of the modalities in each vector (MOMEF's pi, PAPER section 5).
        rankable: bool [n], items that have a vector.
        present: bool [n, m], which item has which modality.
        modalities: m names.
        encode: the user encoder.
        max_length: the most events that it reads.
        without: describes the items with a modality hidden; None when the method reads none.
    """

    vectors: NDArray[np.float32]
    shares: NDArray[np.float32]
    rankable: NDArray[np.bool_]
    present: NDArray[np.bool_]
    modalities: Sequence[str]
    encode: Encode
    max_length: int
    without: DescribeWithout | None


def contributions(model: Described, holdout: Holdout, ranks: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Returns what every modality contributes, by name; nothing for a method that reads none.

    `items` have the modality; `share` is their mean pi, `share_all` that of all rankable items; `ndcg10_drop` and
    `hr10_drop` are what the holdout's metrics lose when the modality is hidden at inference. Without it, items that
    have nothing else cannot be described: as targets they are misses (`targets_lost` of them), and they are left out
    of histories; a user of whose history nothing is left is a miss, too.

    Args:
        model: what is judged.
        holdout: u users' histories and targets.
        ranks: int64 [u], of the targets with all modalities in use.
    """
    if model.without is None:
        return {}
    return {name: _contribution(model, column, holdout, ranks) for column, name in enumerate(model.modalities)}


def _contribution(model: Described, column: int, holdout: Holdout, ranks: NDArray[np.int64]) -> dict[str, float]:
    having = model.rankable & model.present[:, column]
    still = model.rankable & np.delete(model.present, column, axis=1).any(axis=1)
    masked = _ranks_without(model, column, still, holdout)
    found = {
        "items": float(having.sum()),
        "ndcg10_drop": metrics.ndcg(ranks, 10) - metrics.ndcg(masked, 10),
        "hr10_drop": metrics.hit_rate(ranks, 10) - metrics.hit_rate(masked, 10),
        "targets_lost": float((model.rankable & ~still)[holdout.targets].sum()),
    }
    if having.any():
        found["share"] = float(model.shares[having, column].mean(dtype=np.float64))
        found["share_all"] = float(model.shares[model.rankable, column].mean(dtype=np.float64))
    return found


def _ranks_without(model: Described, column: int, still: NDArray[np.bool_], holdout: Holdout) -> NDArray[np.int64]:
    """Returns the ranks int64 [u] with a modality hidden; a miss has the rank n + 10, whatever the n items are."""
    miss = len(still) + 10
    ranks = np.full(len(holdout.targets), miss, dtype=np.int64)
    history = holdout.history.keep(still[holdout.history.items])
    asked = (history.lengths > 0) & still[holdout.targets]
    if model.without is None or not asked.any():
        return ranks
    kept = history.keep(np.repeat(asked, history.lengths))
    readable = Interactions(np.concatenate([[0], np.cumsum(history.lengths[asked])]), kept.items)
    score = vector_scorer(model.without(column), model.encode, model.max_length)
    ranks[asked] = holdout_ranks(Holdout(readable, holdout.targets[asked]), score, still)
    return ranks
