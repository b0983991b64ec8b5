"""Every method that reads states is served as it was trained, whatever modalities an item has."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from model import export
from model.data.dataset import Dataset
from model.data.features import selected_states
from model.export import export_artifact, restore
from model.methods.registry import REGISTRY
from model.runtime import ItemTower
from model.train import Trained, fit
from tests.model.conftest import small_config
from tests.model.synthetic import content_log

SERVED: list[tuple[str, dict[str, object]]] = [
    ("frozen", {"fusion": "mean"}),
    ("iisan", {"side_layers": 2}),
    ("iisan-versa", {"side_layers": 2, "layer_choice": "last", "modalities": "text"}),
    ("crossan", {"side_layers": 2, "fusion": "top1", "cross_path": "raw", "link_rank": 2}),
]


@pytest.fixture(scope="module")
def alike() -> Dataset:
    """The synthetic catalogue with encoders of one width, as IISAN needs them."""
    dataset = content_log(items=60, users=30)
    tables = [
        dataclasses.replace(table, states=np.resize(table.states, (*table.states.shape[:2], 16)))
        for table in dataset.features
    ]
    return dataclasses.replace(dataset, features=tables)


def _trained(dataset: Dataset, method: str, options: dict[str, object]) -> Trained:
    """A training after which no parameter is where it started."""
    config = small_config(method, epochs=1, **options)
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trained.recommender.tower.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return trained


@pytest.mark.parametrize(("method", "options"), SERVED)
def test_content_is_described_alike_by_torch_and_onnx_for_every_mix_of_modalities(
    alike: Dataset, method: str, options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_export_user_encoder", lambda trained, path: float(path.write_bytes(b"")))
    trained = _trained(alike, method, options)
    export_artifact(trained, alike, tmp_path, item_ids=[str(row) for row in range(60)], meta={})
    dataset = alike.only(trained.config.tower.modalities)
    count = len(dataset.features)
    present = dataset.present & (np.arange(60)[:, None] >> np.arange(count) & 1).astype(bool)
    whole = {
        table.modality: selected_states(table, range(table.config.layers_total), np.arange(60))
        for table in dataset.features
    }
    vectors, shares = ItemTower(tmp_path).encode(whole, present)
    content = REGISTRY[method].content_tower(restore(tmp_path).tower)
    select = REGISTRY[method].select_layers
    assert select is not None
    chosen = [
        torch.from_numpy(whole[table.modality][:, list(select(trained.config, table.config))])
        for table in dataset.features
    ]
    with torch.no_grad():
        expected = content(torch.from_numpy(present), *chosen)
    np.testing.assert_allclose(vectors, expected[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(shares, expected[1].numpy(), atol=1e-4)
    np.testing.assert_allclose(shares.sum(axis=1), present.any(axis=1), atol=1e-5)
    assert not shares[~present].any()
