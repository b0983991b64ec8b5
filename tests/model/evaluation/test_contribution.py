import json
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.dataset import interactions_of
from model.data.splits import Holdout
from model.evaluation.contribution import Described, contributions

ITEMS = 14
TEXT = np.arange(ITEMS) != 13
IMAGE = np.arange(ITEMS) >= 12
SHARES = np.where(np.stack([TEXT & IMAGE, TEXT & IMAGE], axis=1), [0.25, 0.75], np.stack([TEXT, IMAGE], axis=1))


def _vectors() -> NDArray[np.float32]:
    """One-dimensional: item i says i, so that for everybody the last items come first."""
    return np.arange(ITEMS, dtype=np.float32)[:, None]


def _newest(sequences: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """A user is the sign of what the newest item says."""
    assert (lengths > 0).all()
    return np.sign(sequences[:, -1])


def _without(column: int) -> NDArray[np.float32]:
    """Without text all is upside down, except that item 12 still has an image to be first by."""
    vectors = _vectors()
    return np.where(IMAGE[:, None], vectors, -vectors) if column == 0 else vectors


MODEL = Described(
    vectors=_vectors(),
    shares=SHARES.astype(np.float32),
    rankable=np.ones(ITEMS, dtype=np.bool_),
    present=np.stack([TEXT, IMAGE], axis=1),
    modalities=["text", "image"],
    encode=_newest,
    max_length=3,
    without=_without,
)
# Three users, whose targets have both modalities, an image alone, and text alone.
HOLDOUT = Holdout(interactions_of([[5, 12], [5, 12], [5, 13]]), np.array([13, 12, 11]))
RANKS = np.array([1, 1, 2])


def test_shares_are_means_over_the_items_that_have_it_and_over_all() -> None:
    found = contributions(MODEL, HOLDOUT, RANKS)
    # Twelve items have text alone, one has both (a quarter of it text), one an image alone.
    assert found["text"]["items"] == 13
    assert found["text"]["share"] == pytest.approx((12 + 0.25) / 13)
    assert found["text"]["share_all"] == pytest.approx((12 + 0.25) / 14)
    assert found["image"]["items"] == 2
    assert found["image"]["share"] == pytest.approx((0.75 + 1) / 2)
    assert found["image"]["share_all"] == pytest.approx((0.75 + 1) / 14)


def test_what_is_lost_when_a_modality_is_hidden() -> None:
    found = contributions(MODEL, HOLDOUT, RANKS)
    before = (1 + 1 + 1 / math.log2(3)) / 3
    # Without text only 12 and 13 can be ranked. User 0 read 12 and is shown 13: still first. User 1 has seen the
    # target, which stands behind 13: second. The target of user 2 is lost.
    assert found["text"]["targets_lost"] == 1
    assert found["text"]["hr10_drop"] == pytest.approx(1 - 2 / 3)
    assert found["text"]["ndcg10_drop"] == pytest.approx(before - (1 + 1 / math.log2(3)) / 3)
    # Without images item 13 is gone: the first user's target is lost, the second's is first. The third user has 5
    # alone left to read, and 11 comes behind 12: second as before.
    assert found["image"]["targets_lost"] == 1
    assert found["image"]["hr10_drop"] == pytest.approx(1 - 2 / 3)
    assert found["image"]["ndcg10_drop"] == pytest.approx(before - (0 + 1 + 1 / math.log2(3)) / 3)


def test_a_user_with_nothing_left_to_read_is_a_miss() -> None:
    holdout = Holdout(interactions_of([[13], [13, 5]]), np.array([11, 11]))
    found = contributions(MODEL, holdout, np.array([1, 1]))
    assert found["image"]["targets_lost"] == 0
    assert found["image"]["hr10_drop"] == 1 / 2


def test_the_only_modality_is_worth_everything() -> None:
    alone = replace(MODEL, shares=np.ones((ITEMS, 1), np.float32), present=np.ones((ITEMS, 1), np.bool_))
    found = contributions(replace(alone, modalities=["text"]), HOLDOUT, RANKS)["text"]
    assert found["hr10_drop"] == 1
    assert found["targets_lost"] == 3


def test_a_modality_that_no_item_has_costs_nothing_and_has_no_share() -> None:
    none = replace(MODEL, present=np.stack([TEXT | IMAGE, np.zeros(ITEMS, np.bool_)], axis=1))
    holdout = Holdout(HOLDOUT.history, np.array([13, 13, 12]))
    found = contributions(none, holdout, np.array([1, 1, 1]))
    assert found["image"] == {"items": 0.0, "ndcg10_drop": 0.0, "hr10_drop": 0.0, "targets_lost": 0.0}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_method_that_reads_nothing_has_nothing_to_hide() -> None:
    assert contributions(replace(MODEL, without=None), HOLDOUT, RANKS) == {}
