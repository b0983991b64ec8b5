import math

import numpy as np
import pytest

from model import metrics


def test_ranks_count_what_scores_higher() -> None:
    scores = np.array([[0.1, 0.9, 0.5, 0.3], [0.1, 0.9, 0.5, 0.3]], dtype=np.float32)
    # Item 2 is behind item 1 only; item 0 is behind all three others.
    assert metrics.ranks(scores, np.array([2, 0])).tolist() == [2, 4]


def test_ties_stand_before_the_target() -> None:
    assert metrics.ranks(np.zeros((1, 5), np.float32), np.array([3])).tolist() == [5]


def test_not_a_number_earns_nothing() -> None:
    assert metrics.ranks(np.full((1, 5), np.nan, np.float32), np.array([3])).tolist() == [5]


def test_excluded_items_do_not_count_but_the_target_always_does() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6]], dtype=np.float32)
    excluded = np.array([[True, False, False, True]])
    # Of items 0, 1, 2 before item 3, item 0 is excluded: rank 3, although the target is marked too.
    assert metrics.ranks(scores, np.array([3]), excluded).tolist() == [3]


def test_metrics_by_hand() -> None:
    ranks = np.array([1, 3, 11, 2])
    assert metrics.hit_rate(ranks, 10) == pytest.approx(3 / 4)
    # 1/log2(2) = 1, 1/log2(4) = 1/2, nothing beyond ten, 1/log2(3).
    assert metrics.ndcg(ranks, 10) == pytest.approx((1 + 1 / 2 + 0 + 1 / math.log2(3)) / 4)
    assert metrics.mean_reciprocal_rank(ranks) == pytest.approx((1 + 1 / 3 + 1 / 11 + 1 / 2) / 4)


def test_summary_names_them() -> None:
    summary = metrics.summary(np.array([1, 20]))
    assert summary["hr10"] == 0.5
    assert summary["hr50"] == 1.0
    assert summary["users"] == 2.0
