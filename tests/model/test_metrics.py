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


def test_summary_of_nobody_has_no_numbers() -> None:
    assert metrics.summary(np.empty(0, np.int64)) == {"users": 0.0}


def test_top_items_are_the_best_that_are_not_excluded() -> None:
    scores = np.array([[0.1, 0.9, 0.5, np.nan, 0.7], [0.4, 0.3, 0.2, 0.1, 0.0]], dtype=np.float32)
    excluded = np.array([[False, True, False, False, False], [True, True, True, True, False]])
    # The first row cannot show item 1 and has no number for 3; the second has a single item to show.
    assert metrics.top_items(scores, excluded, 2).tolist() == [[4, 2], [4, -1]]
    assert metrics.top_items(scores, excluded, 7).tolist() == [[4, 2, 0, -1, -1, -1, -1], [4] + [-1] * 6]


@pytest.mark.parametrize("seed", range(3))
def test_top_items_agree_with_a_full_sort(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((30, 70)).astype(np.float32)
    excluded = rng.random(scores.shape) < 0.5
    expected = [
        [item for item in np.argsort(-row) if not hidden[item]][:10]
        for row, hidden in zip(scores, excluded, strict=True)
    ]
    assert metrics.top_items(scores, excluded, 10).tolist() == expected


def test_what_ranks_first_is_the_first_of_the_top() -> None:
    scores = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    excluded = np.zeros(scores.shape, np.bool_)
    top = metrics.top_items(scores, excluded, 20)
    for place in range(20):
        assert metrics.ranks(scores, top[:, place], excluded).tolist() == [place + 1] * 50


def test_coverage_is_the_share_of_the_catalogue_that_anyone_sees() -> None:
    rankable = np.array([True, True, True, True, False])
    # Items 0 and 2 are shown, out of four; nobody is shown anything in the last place.
    assert metrics.coverage(np.array([[0, 2], [2, -1]]), rankable) == 2 / 4
    assert metrics.coverage(np.empty((0, 10), np.int64), rankable) == 0.0
