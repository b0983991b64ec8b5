import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model import artifact
from model.artifact import ArtifactError
from tests.model.conftest import Version


@pytest.fixture
def copy(crossan: Version, tmp_path: Path) -> Path:
    return Path(shutil.copytree(crossan.folder, tmp_path / "copy"))


def test_manifest_is_read_back(crossan: Version) -> None:
    assert artifact.load_manifest(crossan.folder) == crossan.manifest
    assert artifact.verify(crossan.folder) == crossan.manifest


def test_manifest_says_what_it_is(crossan: Version) -> None:
    manifest = crossan.manifest
    assert manifest.method == "crossan"
    assert [(one.name, one.width, one.layers_total) for one in manifest.modalities] == [
        ("text", 24, 5),
        ("image", 32, 9),
        ("audio", 16, 3),
    ]
    # Depths 4, 8 and 2 in three groups.
    assert [one.layers for one in manifest.modalities] == [(1, 2, 4), (2, 5, 8), (1, 1, 2)]
    assert [one.encoder for one in manifest.modalities] == ["f" * 64, "", ""]
    assert manifest.meta["cut"] == "2026-01-01"
    assert set(manifest.metrics["baselines"]) == {"popular", "markov", "item_knn"}
    assert "torch" in manifest.packages
    assert set(manifest.checksums) == {path.name for path in crossan.folder.iterdir()} - {"manifest.json"}


def test_item_vectors_have_their_ids(crossan: Version) -> None:
    ids, vectors, shares = artifact.load_item_vectors(crossan.folder)
    # Item 0 has no content: the version knows no vector of it.
    assert ids == crossan.item_ids[1:]
    np.testing.assert_array_equal(vectors, crossan.trained.vectors[1:])
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["weights.safetensors", "item_tower.onnx", "user_encoder.onnx", "item_ids.json"])
def test_a_changed_file_is_named(copy: Path, name: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=f"{name}: does not have the checksum"):
        artifact.verify(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "item_vectors.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"item_vectors.safetensors: missing"):
        artifact.load_item_vectors(copy)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', '{"format": 99}'])
def test_what_is_no_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest.json"):
        artifact.load_manifest(copy)


def test_a_folder_without_a_manifest_is_no_artifact(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"manifest.json: cannot be read"):
        artifact.load_manifest(tmp_path)


def test_ids_and_vectors_must_be_as_many(copy: Path) -> None:
    (copy / "item_ids.json").write_text(json.dumps(["one"]))
    raw = json.loads((copy / "manifest.json").read_text())
    raw["checksums"]["item_ids.json"] = artifact.checksum(copy / "item_ids.json")
    (copy / "manifest.json").write_text(json.dumps(raw))
    with pytest.raises(ArtifactError, match=r"item_ids.json: 1 ids for 119 vectors"):
        artifact.load_item_vectors(copy)
