from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from model import artifact, export
from model.data.dataset import Dataset
from model.export import ParityError, export_artifact, restore
from model.train import fit
from tests.model.conftest import Version, small_config


def test_onnx_agrees_with_torch_and_says_so(crossan: Version) -> None:
    assert set(crossan.manifest.parity) == {"item_tower.onnx", "user_encoder.onnx"}
    assert all(0 <= difference <= 1e-4 for difference in crossan.manifest.parity.values())


def test_onnx_files_have_the_opset_and_dynamic_axes(crossan: Version) -> None:
    tower = onnx.load(crossan.folder / "item_tower.onnx")
    assert tower.opset_import[0].version == crossan.manifest.opset
    assert [one.name for one in tower.graph.input] == ["present", "states_text", "states_image", "states_audio"]
    encoder = onnx.load(crossan.folder / "user_encoder.onnx")
    sequences = encoder.graph.input[0].type.tensor_type.shape.dim
    assert [bool(axis.dim_param) for axis in sequences] == [True, True, False]


def test_weights_are_read_back(crossan: Version) -> None:
    network = restore(crossan.folder)
    weights = crossan.trained.recommender.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in network.state_dict().items())
    assert not network.training


def test_id_version_has_vectors_but_no_tower(id_only: Version) -> None:
    ids, vectors, shares = artifact.load_item_vectors(id_only.folder)
    assert (len(ids), vectors.shape, shares.shape) == (120, (120, 16), (120, 0))
    assert "item_tower.onnx" not in id_only.manifest.checksums
    assert not (id_only.folder / "item_tower.onnx").exists()
    assert id_only.manifest.modalities == ()
    assert torch.equal(restore(id_only.folder).tower.table.weight, id_only.trained.recommender.tower.table.weight)


def test_difference_to_torch_forbids_publishing(
    id_only: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_export_user_encoder", lambda trained, path: 2e-4)
    with pytest.raises(ParityError, match=r"user_encoder.onnx differs from torch by 2.00e-04, allowed are 1e-04"):
        export_artifact(id_only.trained, id_only.dataset, tmp_path, item_ids=id_only.item_ids, meta={})
    assert not (tmp_path / "manifest.json").exists()


def test_adapters_that_modalities_share_are_exported(dataset: Dataset, tmp_path: Path) -> None:
    config = small_config("crossan", epochs=1, shared_adapters=True)
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
    ids = [f"i{row}" for row in range(dataset.item_count)]
    export_artifact(trained, dataset, tmp_path / "version", item_ids=ids, meta={})
    torch.testing.assert_close(restore(tmp_path / "version").state_dict(), trained.recommender.state_dict())


def test_what_is_not_a_number_is_no_parity(tmp_path: Path) -> None:
    class Undefined(nn.Module):
        def forward(self, one: torch.Tensor) -> torch.Tensor:
            return one / one

    path = tmp_path / "undefined.onnx"
    export._write(Undefined().eval(), (torch.ones(1),), path, (["one"], ["other"], ({0: export.DYNAMIC},)))
    found = export._largest_difference(Undefined(), path, [(torch.zeros(1),), (torch.ones(1),)])
    assert np.isnan(found)
