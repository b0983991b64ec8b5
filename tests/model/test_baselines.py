import math

import numpy as np
import pytest

from model import baselines
from model.data.dataset import interactions_of
from model.data.splits import leave_one_out

TRAIN = interactions_of([[0, 1, 2], [0, 1], [3, 1], []])


def test_popular_counts_events() -> None:
    scores = baselines.popular(TRAIN, 5)(interactions_of([[0], [3, 1]]))
    assert scores.tolist() == [[2, 3, 1, 1, 0]] * 2


def test_markov_counts_what_follows_the_last_item() -> None:
    scores = baselines.markov(TRAIN, 5)(interactions_of([[3, 0], [0, 1], [4]]))
    # 1 follows 0 twice; 2 follows 1 once, and the users' borders do not count: nothing follows 2 or 4.
    assert np.round(scores).tolist() == [[0, 2, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert scores[2, 1] > scores[2, 0] > scores[2, 4]  # popularity breaks the ties


def test_item_knn_is_cosine_with_recency() -> None:
    scores = baselines.item_knn(TRAIN, 5)(interactions_of([[0, 3]]))
    # Users of 0: {a, b}, of 1: {a, b, c}, of 3: {c}. cos(0,1) = 2/√6 one step back, cos(3,1) = 1/√3 now.
    expected = baselines.RECENCY * 2 / math.sqrt(6) + 1 / math.sqrt(3)
    assert scores[0, 1] == pytest.approx(expected, abs=1e-5)
    assert scores[0, 2] == pytest.approx(baselines.RECENCY * 1 / math.sqrt(2), abs=1e-5)


def test_evaluate_reports_all_three_on_the_test_targets() -> None:
    split = leave_one_out(interactions_of([[0, 1, 2, 3], [0, 1, 2, 3], [2, 0, 1]]))
    found = baselines.evaluate(split, 4)
    assert set(found) == {"popular", "markov", "item_knn"}
    assert all(one["users"] == 3 for one in found.values())
