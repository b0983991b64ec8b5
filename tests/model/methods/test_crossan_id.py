from pathlib import Path

import numpy as np
import pytest
import torch

from model import artifact
from model.config import CatalogueShape, ModalityConfig
from model.data.dataset import interactions_of
from model.data.features import selected_states
from model.data.splits import leave_one_out
from model.evaluation.artifact import evaluate_artifact
from model.export import export_artifact
from model.methods.crossan_id import CROSSAN_ID, build_tower
from model.methods.layers import select_layers
from model.runtime import ItemTower
from model.train import fit
from tests.model.conftest import Version, small_config
from tests.model.synthetic import content_log

SHAPES = (ModalityConfig("text", 6, 4), ModalityConfig("image", 5, 4))


def test_only_items_with_enough_training_events_have_a_residual() -> None:
    tower = build_tower(small_config("crossan+id", residual_min_events=2), CatalogueShape(4, SHAPES)).eval()
    present, states = torch.ones(4, 2, dtype=torch.bool), [torch.randn(4, 3, 6), torch.randn(4, 3, 5)]
    train = interactions_of([[0, 1], [1, 2, 1]])  # item 1 three times, 0 and 2 once, 3 never
    CROSSAN_ID.prepare(tower, (torch.arange(4), present, *states), train)
    assert tower.learned.tolist() == [False, True, False, False]
    content, shares = tower.content(present, *states)
    vectors, same = tower(torch.arange(4), present, *states)
    torch.testing.assert_close(vectors, content)  # residuals start at zero
    torch.testing.assert_close(same, shares)
    torch.nn.init.normal_(tower.residuals.weight)
    vectors, _ = tower(torch.tensor([2, 1]), present[:2], states[0][[2, 1]], states[1][[2, 1]])
    torch.testing.assert_close(vectors[0], content[2])
    torch.testing.assert_close(vectors[1], content[1] + tower.residuals.weight[1])


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A training in which the last twenty items are new: no event is about them."""
    dataset = content_log(users=60)
    old = dataset.interactions.keep(dataset.interactions.items < 100)
    dataset = type(dataset)(dataset.item_count, dataset.features, old)
    config = small_config("crossan+id", epochs=2, residual_min_events=3, side_layers=2, fusion="gated")
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
    folder: Path = tmp_path_factory.mktemp("artifacts") / "crossan_id"
    item_ids = [f"item-{row}" for row in range(dataset.item_count)]
    return Version(
        dataset, trained, folder, export_artifact(trained, dataset, folder, item_ids=item_ids, meta={}), item_ids
    )


def test_counts_are_those_of_the_training_events(version: Version) -> None:
    events = version.dataset.interactions
    train = leave_one_out(events.keep(events.items != 0)).train  # item 0 has no content
    expected = np.bincount(train.items, minlength=120) >= 3
    assert version.trained.recommender.tower.learned.tolist() == expected.tolist()
    assert 0 < expected.sum() < 100


def test_new_items_have_the_vector_of_their_content_and_known_ones_more(version: Version) -> None:
    ids, stored, _ = artifact.load_item_vectors(version.folder)
    items = np.array([version.item_ids.index(item_id) for item_id in ids])
    states = {
        table.modality: selected_states(table, range(table.config.layers_total), items)
        for table in version.dataset.features
    }
    content, _ = ItemTower(version.folder).encode(states, version.dataset.present[items])
    learned = version.trained.recommender.tower.learned.numpy()[items]
    residuals = version.trained.recommender.tower.residuals.weight.detach().numpy()[items]
    np.testing.assert_allclose(stored[~learned], content[~learned], atol=1e-4)
    np.testing.assert_allclose(stored[learned], content[learned] + residuals[learned], atol=1e-4)
    assert np.abs(residuals[learned]).max() > 0.01
    assert np.abs(residuals[~learned]).max() == 0
    assert not learned[items >= 100].any()


def test_artifact_scores_as_the_trained_network(version: Version) -> None:
    events = version.dataset.interactions
    test = leave_one_out(events.keep(events.items != 0)).test
    found = evaluate_artifact(version.folder, version.dataset, test, item_ids=version.item_ids)
    wanted = {name: version.trained.metrics["test"][name] for name in ("hr10", "ndcg10")}
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=0.02)


def test_it_selects_crossans_layers() -> None:
    assert CROSSAN_ID.select_layers is select_layers
