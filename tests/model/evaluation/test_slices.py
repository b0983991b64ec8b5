import json

import numpy as np
import pytest

from model import metrics
from model.data.dataset import interactions_of
from model.data.splits import Holdout
from model.evaluation.slices import Bounds, slice_metrics

# Item 0 has no training event, item 1 has five, item 2 six, item 3 one; item 9 is beyond all targets.
TRAIN = interactions_of([[1] * 5, [2] * 6, [3], [9]])


def test_targets_are_cut_by_training_events_and_users_by_history() -> None:
    holdout = Holdout(interactions_of([[9] * 5, [9] * 6, [9] * 20, [9] * 21, [9]]), np.array([0, 1, 2, 3, 0]))
    ranks = np.array([1, 20, 3, 4, 100])
    found = slice_metrics(ranks, holdout, TRAIN)
    expected = {
        "items_by_events": {"0": [1, 100], "1-5": [20, 4], "6+": [3], "0-5": [1, 20, 4, 100]},
        "users_by_history": {"1-5": [1, 100], "6-20": [20, 3], "21-50": [4], "51+": []},
    }
    assert found == {
        kind: {name: metrics.summary(np.array(one, dtype=np.int64)) for name, one in slices.items()}
        for kind, slices in expected.items()
    }
    assert found["items_by_events"]["0"]["hr50"] == 1 / 2
    assert found["users_by_history"]["51+"] == {"users": 0.0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_slices_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    train = interactions_of([rng.integers(0, 30, 12).tolist() for _ in range(8)])
    histories = [rng.integers(0, 30, length).tolist() for length in rng.integers(1, 70, 50)]
    ranks = rng.integers(1, 30, 50)
    found = slice_metrics(ranks, Holdout(interactions_of(histories), rng.integers(0, 40, 50)), train)
    del found["items_by_events"]["0-5"]  # the sum of two others
    for slices in found.values():
        assert sum(one["users"] for one in slices.values()) == 50
        hits = sum(one["users"] * one["hr10"] for one in slices.values() if one["users"])
        assert hits / 50 == pytest.approx(metrics.hit_rate(ranks, 10))


@pytest.mark.parametrize(("bounds", "name"), [(Bounds(0, 0), "0"), (Bounds(1, 5), "1-5"), (Bounds(6, None), "6+")])
def test_bounds_are_named_by_both_ends(bounds: Bounds, name: str) -> None:
    assert bounds.name == name
    counts = np.array([0, 1, 5, 6, 1_000])
    assert (
        bounds.holds(counts).tolist()
        == {
            "0": [True, False, False, False, False],
            "1-5": [False, True, True, False, False],
            "6+": [False, False, False, True, True],
        }[name]
    )
