"""Everything that is said about a fitted recommender after its one look at the test set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model import metrics
from model.data.dataset import Interactions
from model.data.splits import Holdout, Split
from model.evaluation.contribution import Described, contributions
from model.evaluation.ranking import Ranking, Scorer, rank_holdout, vector_scorer
from model.evaluation.slices import slice_metrics


def report_test(model: Described, split: Split) -> dict[str, Any]:
    """Ranks the catalogue for the test users and says how good that was.

    Returns:
        `test`: the metrics by name, with coverage10; `slices`: see `model.evaluation.slices.slice_metrics`;
        `modalities`: see `model.evaluation.contribution.contributions`. All of it is JSON without NaN.
    """
    score = vector_scorer(model.vectors, model.encode, model.max_length)
    ranking = rank_holdout(split.test, score, model.rankable)
    return {
        "test": _summary(ranking, model.rankable),
        "slices": slice_metrics(ranking.ranks, split.test, split.train),
        "modalities": contributions(model, split.test, ranking.ranks),
    }


def judge(score: Scorer, holdout: Holdout, train: Interactions, rankable: NDArray[np.bool_]) -> dict[str, Any]:
    """Ranks the catalogue by any scores: the metrics by name, with coverage10 and `slices`.

    Args:
        score: gives the scores [b, n] for the histories of b users.
        holdout: u users' histories and targets.
        train: the events learned from.
        rankable: bool [n], the items that may be in the answer.
    """
    ranking = rank_holdout(holdout, score, rankable)
    return {**_summary(ranking, rankable), "slices": slice_metrics(ranking.ranks, holdout, train)}


def _summary(ranking: Ranking, rankable: NDArray[np.bool_]) -> dict[str, float]:
    return {**metrics.summary(ranking.ranks), "coverage10": metrics.coverage(ranking.top, rankable)}
