from typing import Any

import numpy as np
import pytest

from model.compare.als import als
from model.compare.baseline import SCORERS, judge_baseline
from model.compare.plan import BASELINES
from model.data.dataset import interactions_of


def test_every_planned_baseline_is_there() -> None:
    assert set(SCORERS) == set(BASELINES)


@pytest.mark.parametrize("name", ["popular", "markov", "item_knn"])
def test_a_baseline_answers_every_test_user(job: dict[str, Any], name: str) -> None:
    asked = {**job, "method": name, "options": {"split": "leave_one_out"}}
    found = judge_baseline(asked, lambda progress: None)
    assert found["metrics"]["test"]["users"] == 150
    assert 0 <= found["metrics"]["test"]["ndcg10"] <= 1
    assert 0 < found["metrics"]["test"]["coverage10"] <= 1
    assert "items_by_events" in found["metrics"]["slices"]


def test_als_recommends_what_like_minded_users_have() -> None:
    pytest.importorskip("implicit")
    # Two kinds of users; the last of each kind lacks one item of its own kind.
    train = interactions_of([[0, 1, 2]] * 8 + [[3, 4, 5]] * 8)
    scores = als(train, 6)(interactions_of([[0, 1], [5, 3]]))
    assert scores.shape == (2, 6)
    assert np.argmax(np.where([True, True, False, False, False, False], -np.inf, scores[0])) == 2
    assert np.argmax(np.where([False, False, False, True, False, True], -np.inf, scores[1])) == 4
