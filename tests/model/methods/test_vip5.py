from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from model import metrics
from model.config import TrainingConfig, parse_config
from model.data.dataset import Dataset
from model.data.splits import leave_one_out
from model.evaluation.ranking import holdout_ranks, vector_scorer
from model.export import export_artifact, restore
from model.methods.registry import REGISTRY
from model.modules.vip5 import PromptedUserEncoder
from model.runtime import ItemTower, UserEncoder
from model.train import Trained, fit
from tests.model.synthetic import content_log

WIDTH = 16
FEW = 4
SMALL = {
    "item_width": WIDTH,
    "bottleneck": 8,
    "max_length": 8,
    "blocks": 1,
    "heads": 2,
    "batch_size": 64,
    "epochs": 15,
    "learning_rate": 8e-3,
}


def _config(**options: Any) -> TrainingConfig:
    return parse_config("vip5", {**SMALL, **options})


def _log(seed: int) -> Dataset:
    """Three hundred items, of which the training log has two or three events each."""
    return content_log(300, 150, 7, seed=seed)


def _fit(dataset: Dataset, **options: Any) -> Trained:
    return fit(dataset, _config(**options), on_progress=lambda progress: None, should_stop=lambda: False)


@pytest.fixture(scope="module")
def with_media() -> list[Trained]:
    return [_fit(_log(seed), seed=seed) for seed in (0, 1)]


def _on_items_with_few_events(trained: Trained, dataset: Dataset) -> dict[str, float]:
    """Metrics of the test targets that have at most `FEW` training events."""
    split = leave_one_out(dataset.interactions.keep(trained.rankable[dataset.interactions.items]))
    encoder = cast(PromptedUserEncoder, trained.recommender.user_encoder)

    @torch.no_grad()
    def encode(sequences: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        return encoder.last(torch.from_numpy(sequences), torch.from_numpy(lengths)).numpy()

    ranks = holdout_ranks(split.test, vector_scorer(trained.vectors, encode, 8), trained.rankable)
    events = np.bincount(split.train.items, minlength=dataset.item_count)
    few = events[split.test.targets] <= FEW
    assert few.sum() > 50
    return metrics.summary(ranks[few])


def test_media_tokens_help_items_with_few_events(with_media: list[Trained]) -> None:
    """Two seeds: the topics of the next items are told by media alone.

    A good guess of the topic gives an HR@10 of about 10 / 25, since a topic has 25 items; without media tokens there is
    only chance, 10 / 300, and what two or three events tell.
    """
    for seed, trained in enumerate(with_media):
        without = _fit(_log(seed), media_tokens=0, seed=seed)
        few = _on_items_with_few_events(trained, _log(seed))
        blind = _on_items_with_few_events(without, _log(seed))
        assert few["hr10"] > 2 * blind["hr10"]
        assert few["ndcg10"] > 2 * blind["ndcg10"]


def test_it_is_served_from_the_same_artifact(with_media: list[Trained], tmp_path: Path) -> None:
    trained, dataset = with_media[0], _log(0)
    manifest = export_artifact(
        trained, dataset, tmp_path, item_ids=[str(row) for row in range(dataset.item_count)], meta={}
    )
    assert manifest.item_width == 3 * WIDTH
    rows = np.arange(1, 33)
    states = {table.modality: table.states[table.row_of_item[rows]] for table in dataset.features}
    vectors, _ = ItemTower(tmp_path).encode(states, dataset.present[rows])
    # New items have no id token; the media tokens are those of the catalogue.
    assert not vectors[:, :WIDTH].any()
    np.testing.assert_allclose(vectors[:, WIDTH:], trained.vectors[rows, WIDTH:], atol=1e-4)
    sequences, lengths = trained.vectors[rows].reshape(4, 8, -1), np.array([8, 1, 5, 2])
    users = UserEncoder(tmp_path).encode(sequences, lengths)
    again = cast(PromptedUserEncoder, restore(tmp_path).user_encoder)
    with torch.no_grad():
        expected = again.last(torch.from_numpy(sequences), torch.from_numpy(lengths)).numpy()
    np.testing.assert_allclose(users, expected, atol=1e-4)


def test_without_media_tokens_new_items_are_unknown(tmp_path: Path) -> None:
    dataset = _log(0)
    trained = _fit(dataset, media_tokens=0, epochs=1)
    ids = [str(row) for row in range(dataset.item_count)]
    assert export_artifact(trained, dataset, tmp_path, item_ids=ids, meta={}).item_width == WIDTH
    states = {table.modality: table.states[:2] for table in dataset.features}
    vectors, _ = ItemTower(tmp_path).encode(states, np.ones((2, 3), dtype=np.bool_))
    assert vectors.shape == (2, WIDTH)
    assert not vectors.any()


def test_items_without_training_events_have_no_id(with_media: list[Trained]) -> None:
    dataset = _log(0)
    split = leave_one_out(dataset.interactions.keep(with_media[0].rankable[dataset.interactions.items]))
    seen = np.bincount(split.train.items, minlength=dataset.item_count) > 0
    assert 0 < seen.sum() < dataset.item_count
    np.testing.assert_array_equal(with_media[0].vectors[:, :WIDTH].any(axis=1), seen)


def test_frozen_parts_are_the_same_for_every_seed() -> None:
    """And whatever else was drawn before; adapters are not."""
    method = REGISTRY["vip5"]
    torch.manual_seed(1)
    first = dict(method.build_user_encoder(_config()).named_parameters())
    torch.manual_seed(2)
    second = dict(method.build_user_encoder(_config()).named_parameters())
    frozen = {name for name, one in first.items() if not one.requires_grad}
    assert frozen == {name for name in first if ".part." in name} != set()
    assert all(torch.equal(first[name], second[name]) for name in frozen)
    assert not torch.equal(
        first["blocks.0.attention.adapter.down.weight"], second["blocks.0.attention.adapter.down.weight"]
    )
