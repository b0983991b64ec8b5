"""Cosine is an inner product of unit vectors, in training, in the artifact, and in what new items get."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from model.artifact import load_item_vectors
from model.data.dataset import Dataset
from model.data.splits import leave_one_out
from model.evaluation.artifact import evaluate_artifact
from model.export import export_artifact, restore
from model.modules.recommender import Recommender
from model.modules.score import SCORES
from model.modules.user_encoder import UserEncoder
from model.runtime import ItemTower
from model.train import fit
from tests.model.conftest import small_config
from tests.model.synthetic import content_log


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(6, 4)

    def forward(self, items: Tensor) -> tuple[Tensor, Tensor]:
        return self.table(items), torch.zeros(len(items), 0)


class Sum(nn.Module):
    """A user encoder that adds up, so that the length of what it reads shows."""

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        return sequences.cumsum(dim=1)

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        return sequences.sum(dim=1)


def test_scores_are_inner_products_or_cosines() -> None:
    tower, items, sequences = Tower().requires_grad_(False), torch.arange(6), torch.tensor([[0, 3, 5]])
    raw, _ = tower(items)
    inner = Recommender(tower, Sum())((items,), sequences, torch.tensor([3]))
    torch.testing.assert_close(inner[0], raw)
    torch.testing.assert_close(inner[1][0, 2], raw[0] + raw[3] + raw[5])
    vectors, users = Recommender(tower, Sum(), SCORES["cosine"])((items,), sequences, torch.tensor([3]))
    # What the encoder reads are unit vectors times √4 again; scale does not matter to the direction of a sum.
    directions = functional.normalize(raw, dim=1)
    total = directions[0] + directions[3] + directions[5]
    expected = [float(functional.cosine_similarity(total, one, dim=0)) for one in raw]
    torch.testing.assert_close(users[0, 2] @ vectors.T, torch.tensor(expected))


def test_a_part_of_the_tower_is_described_alike() -> None:
    tower = Tower()
    network = Recommender(tower, Sum(), SCORES["cosine"])
    other = network.with_tower(nn.Identity())
    assert other.user_encoder is network.user_encoder
    torch.testing.assert_close(network.describing(tower)(torch.arange(6))[0].norm(dim=1), torch.ones(6))
    assert Recommender(tower, Sum()).describing(tower) is tower


def test_the_cosine_adds_no_weights() -> None:
    names = [set(Recommender(Tower(), Sum(), score).state_dict()) for score in SCORES.values()]
    assert names == [{"tower.table.weight"}] * 2


def test_serving_ranks_as_training_did(tmp_path: Path) -> None:
    """The artifact alone, by inner products, gives the test metrics of the training by cosine."""
    dataset: Dataset = content_log(items=60, users=60, events=8)
    config = small_config("crossan", epochs=2, score="cosine", modalities="text")
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
    ids = [str(row) for row in range(60)]
    export_artifact(trained, dataset, tmp_path, item_ids=ids, meta={})
    described, vectors, _ = load_item_vectors(tmp_path)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    text = dataset.features[0]
    rows = np.array([int(item) for item in described])
    states = text.states[text.row_of_item[rows]]
    new, _ = ItemTower(tmp_path).encode({"text": states}, np.ones((len(rows), 1), np.bool_))
    np.testing.assert_allclose(new, vectors, atol=1e-4)
    known = np.asarray(trained.rankable)[dataset.interactions.items]
    split = leave_one_out(dataset.interactions.keep(known))
    found = evaluate_artifact(tmp_path, dataset.only("text"), split.test, item_ids=ids)
    assert found["ndcg10"] == trained.metrics["test"]["ndcg10"]
    network = restore(tmp_path)
    assert isinstance(network.user_encoder, UserEncoder)
    users = network.encoding.last(torch.from_numpy(vectors[None, :3]), torch.tensor([3]))
    torch.testing.assert_close(users.norm(dim=1), torch.ones(1))
