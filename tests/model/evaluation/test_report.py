import dataclasses
import json

import numpy as np
import pytest
import torch

from model import metrics
from model.data.dataset import Dataset, interactions_of
from model.data.features import StateInputs
from model.data.splits import leave_one_out
from model.evaluation.report import judge
from model.methods.crossan import select_layers
from model.train import Trained, fit
from tests.model.conftest import Version, small_config


def _fit(dataset: Dataset, method: str, **options: object) -> Trained:
    config = small_config(method, epochs=1, **options)
    return fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)


def test_any_scores_are_judged_with_coverage_and_slices() -> None:
    split = leave_one_out(interactions_of([[0, 1, 2, 3], [0, 1, 2, 3], [2, 0, 1]]))
    scores = np.array([0, 0, 0, 1, 2], dtype=np.float32)
    rankable = np.array([True, True, True, True, False])
    found = judge(lambda history: np.tile(scores, (len(history), 1)), split.test, split.train, rankable)
    # Item 3 comes first for two users; the third has 1 behind it, and is shown both. Nobody is shown 0 or 2.
    assert {name: found[name] for name in ("users", "coverage10")} == {"users": 3, "coverage10": 2 / 4}
    assert found["mrr"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    # Trained on are [0, 1], [0, 1] and [2]: the targets 3, 3 and 1 have no event, none, and two.
    assert [found["slices"]["items_by_events"][name]["users"] for name in ("0", "1-5", "6+")] == [2, 1, 0]


def test_a_training_reports_all_of_it(crossan: Version) -> None:
    found = crossan.trained.metrics
    assert set(found["test"]) == {"hr10", "ndcg10", "hr50", "mrr", "users", "coverage10"}
    assert 0 < found["test"]["coverage10"] <= 1
    for slices in found["slices"].values():
        parts = [one for name, one in slices.items() if name != "0-5"]
        assert sum(one["users"] for one in parts) == found["test"]["users"]
    for baseline in found["baselines"].values():
        assert set(baseline) == {*found["test"], "slices"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_contributions_are_those_of_the_trained_tower(crossan: Version) -> None:
    dataset, trained = crossan.dataset, crossan.trained
    found = trained.metrics["modalities"]
    assert list(found) == ["text", "image", "audio"]
    # The shares of an item add up to one, and so do their means over all items.
    assert sum(one["share_all"] for one in found.values()) == pytest.approx(1, abs=1e-5)
    for column, one in enumerate(found.values()):
        having = dataset.present[:, column]
        assert one["items"] == having.sum()
        assert one["share"] == pytest.approx(trained.shares[having, column].mean(), abs=1e-5)
    # All items but the first have a text, two thirds an image; whoever's target had text alone is lost.
    lost = found["text"]["targets_lost"]
    assert found["text"]["hr10_drop"] > 0.5 * lost / trained.metrics["test"]["users"] > 0
    assert found["image"]["targets_lost"] == found["audio"]["targets_lost"] == 0


def test_hiding_a_modality_is_the_same_as_not_having_it(crossan: Version) -> None:
    """Slow way round: the catalogue without pictures, through the trained network, for the test users."""
    dataset, trained = crossan.dataset, crossan.trained
    image = dataset.features[1]
    bare = dataclasses.replace(image, row_of_item=np.full_like(image.row_of_item, -1))
    without = dataclasses.replace(dataset, features=[dataset.features[0], bare, dataset.features[2]])
    layers = [select_layers(trained.config, table.config) for table in without.features]
    network = trained.recommender.eval()
    with torch.no_grad():
        vectors, _ = network.tower(*StateInputs(without, layers).gather(torch.arange(dataset.item_count)))
        events = dataset.interactions
        test = leave_one_out(events.keep(trained.rankable[events.items])).test
        ranks = []
        for user, target in enumerate(test.targets):
            history = test.history.of(user).astype(np.int64)
            seen = vectors[torch.from_numpy(history[-trained.config.user_encoder.max_length :])][None]
            scores = network.user_encoder.last(seen, torch.tensor([seen.shape[1]])) @ vectors.T
            excluded = ~trained.rankable
            excluded[history] = True
            ranks.append(metrics.ranks(scores.numpy(), np.array([target]), excluded[None])[0])
    drop = trained.metrics["test"]["ndcg10"] - metrics.ndcg(np.array(ranks), 10)
    # Two items may change places in fp32 between a batch of one user and a batch of many.
    assert trained.metrics["modalities"]["image"]["ndcg10_drop"] == pytest.approx(drop, abs=0.005)


def test_numbers_alone_are_asked_about_the_same_users_cold_items_included(dataset: Dataset) -> None:
    events = dataset.interactions
    # All items that are left have content. One of them was never seen before the test.
    known = events.keep((events.items != 0) & (events.items != 7))
    histories = [known.of(user).tolist() for user in range(len(known))]
    histories[0][-1] = 7
    same = dataclasses.replace(dataset, interactions=interactions_of(histories))
    content, numbers = (_fit(same, method).metrics for method in ("crossan", "id"))
    for kind, slices in content["slices"].items():
        assert {name: one["users"] for name, one in slices.items()} == {
            name: one["users"] for name, one in numbers["slices"][kind].items()
        }
    assert numbers["slices"]["items_by_events"]["0"]["users"] >= 1
    assert numbers["slices"]["items_by_events"]["0"]["mrr"] > 0
    assert numbers["modalities"] == {}


def test_a_training_is_judged_at_the_split_it_asks_for(dataset: Dataset) -> None:
    events = dataset.interactions
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 40, len(events))
    times = (starts[:, None] + np.arange(12)[None, :]).ravel()
    timed = dataclasses.replace(dataset, interactions=dataclasses.replace(events, times=times))
    found = _fit(timed, "id", split="global_time").metrics
    # Only users are asked about who were in the middle of their walk at a cut; a walk takes 12 of 52 seconds.
    assert 2 <= found["test"]["users"] < len(events)
    assert found["baselines"]["popular"]["users"] == found["test"]["users"]
