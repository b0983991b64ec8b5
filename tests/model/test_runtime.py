import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from model.artifact import ArtifactError
from model.data.batch import last_events
from model.runtime import ItemTower, UserEncoder
from tests.model.conftest import Version


def _states(version: Version, items: np.ndarray) -> dict[str, np.ndarray]:
    return {table.modality: table.states[table.row_of_item[items]] for table in version.dataset.features}


def test_item_tower_gives_the_vectors_of_the_artifact(crossan: Version) -> None:
    """The whole catalogue from raw stored states, fp16, with its missing modalities, in one batch and one by one."""
    tower = ItemTower(crossan.folder)
    present = crossan.dataset.present
    everything = np.arange(crossan.dataset.item_count)
    vectors, shares = tower.encode(_states(crossan, everything), present)
    np.testing.assert_allclose(vectors, crossan.trained.vectors, atol=1e-4)
    np.testing.assert_allclose(shares, crossan.trained.shares, atol=1e-4)
    assert (shares[~present] == 0).all()
    for item in range(5):
        one, _ = tower.encode(_states(crossan, everything[item : item + 1]), present[item : item + 1])
        np.testing.assert_allclose(one, vectors[item : item + 1], atol=1e-5)


def test_what_an_absent_modality_holds_is_not_read(crossan: Version) -> None:
    tower = ItemTower(crossan.folder)
    states = _states(crossan, np.arange(4))
    present = np.array([[True, False, False]] * 4)
    before, _ = tower.encode(states, present)
    states["image"] = np.full_like(states["image"], np.nan)
    del states["audio"]
    after, shares = tower.encode(states, present)
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(shares, [[1, 0, 0]] * 4)


def test_wrong_shapes_are_said(crossan: Version) -> None:
    tower = ItemTower(crossan.folder)
    states = _states(crossan, np.arange(2))
    with pytest.raises(ValueError, match="present must have a column for each of"):
        tower.encode(states, np.ones((2, 2), np.bool_))
    with pytest.raises(ValueError, match=r"text states must have shape \(2, 5, 24\)"):
        tower.encode({**states, "text": states["text"][:, :3]}, np.ones((2, 3), np.bool_))
    with pytest.raises(ValueError, match="image is present but has no states"):
        tower.encode({"text": states["text"]}, np.ones((2, 3), np.bool_))


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_user_encoder_is_the_torch_one(crossan: Version, steps: int) -> None:
    items, lengths = last_events(crossan.dataset.interactions, steps)
    sequences = crossan.trained.vectors[items]
    found = UserEncoder(crossan.folder).encode(sequences, lengths)
    with torch.no_grad():
        expected = crossan.trained.recommender.user_encoder.last(torch.from_numpy(sequences), torch.from_numpy(lengths))
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)
    alone = UserEncoder(crossan.folder).encode(sequences[:1], lengths[:1])
    np.testing.assert_allclose(alone, found[:1], atol=1e-5)


def test_padding_does_not_matter(crossan: Version) -> None:
    encoder = UserEncoder(crossan.folder)
    sequences = np.random.default_rng(0).standard_normal((2, 3, 16)).astype(np.float32)
    padding = np.full((2, 7, 16), 9, dtype=np.float32)
    lengths = np.array([3, 3])
    padded = encoder.encode(np.concatenate([padding, sequences], axis=1), lengths)
    np.testing.assert_array_equal(padded, encoder.encode(sequences, lengths))


@pytest.mark.parametrize("count", [1, 3, 20])
def test_many_users_are_each_encoded_as_if_alone(crossan: Version, count: int) -> None:
    """Lengths from 1 to more than the longest that is read, in an order of their own, some of them equal."""
    encoder = UserEncoder(crossan.folder)
    rng = np.random.default_rng(0)
    sequences = [rng.standard_normal((steps, 16), dtype=np.float32) for steps in rng.integers(1, 14, count)]
    found = encoder.encode_many(sequences)
    for sequence, user in zip(sequences, found, strict=True):
        newest = sequence[-10:]
        np.testing.assert_array_equal(user, encoder.encode(newest[None], np.array([len(newest)]))[0])


@pytest.mark.parametrize("steps", [0, 11])
def test_sequences_of_impossible_length_are_refused(crossan: Version, steps: int) -> None:
    with pytest.raises(ValueError, match="1 to 10 items"):
        UserEncoder(crossan.folder).encode(np.zeros((1, steps, 16), np.float32), np.array([1]))


def test_a_version_without_content_has_no_item_tower(id_only: Version) -> None:
    with pytest.raises(ArtifactError, match=r"item_tower.onnx: a id version has none"):
        ItemTower(id_only.folder)


def test_a_damaged_file_is_named(crossan: Version, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(crossan.folder, tmp_path / "copy"))
    (folder / "user_encoder.onnx").write_bytes(b"not onnx")
    with pytest.raises(ArtifactError, match=r"user_encoder.onnx: does not have the checksum"):
        UserEncoder(folder)
