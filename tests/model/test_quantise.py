"""A version in 8 bits: when it is written, that it gives the same vectors, and that it is refused when it does not."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from model import artifact, quantise
from model.config import parse_config
from model.data.dataset import Dataset, interactions_of
from model.export import export_artifact
from model.runtime import UserEncoder
from model.train import fit
from tests.model.conftest import Version, small_config


@pytest.fixture(scope="module")
def int8(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Version:
    config = small_config("id", epochs=1, serving_precision="int8")
    trained = fit(dataset, config, on_progress=lambda progress: None, should_stop=lambda: False)
    ids = [f"item-{row}" for row in range(dataset.item_count)]
    folder = tmp_path_factory.mktemp("int8")
    return Version(dataset, trained, folder, export_artifact(trained, dataset, folder, item_ids=ids, meta={}), ids)


@pytest.mark.parametrize(
    ("width", "precision", "wanted"),
    [(62, "auto", False), (64, "auto", True), (256, "fp32", False), (16, "int8", True)],
)
def test_auto_means_8_bits_except_for_narrow_encoders(width: int, precision: str, wanted: bool) -> None:
    config = parse_config("id", {"item_width": width, "serving_precision": precision})
    assert quantise.is_wanted(config) is wanted


def test_the_same_vectors_come_from_8_bits(int8: Version) -> None:
    encoder = UserEncoder(int8.folder)
    assert encoder.is_int8
    assert 0 <= int8.manifest.parity[artifact.USER_ENCODER_INT8] <= 1 - quantise.LEAST_COSINE
    assert artifact.verify(int8.folder) == int8.manifest
    sequences, lengths = quantise.asked_users(int8.trained, int8.dataset.interactions)
    exact = UserEncoder.__new__(UserEncoder)
    exact.max_length = encoder.max_length
    exact._session = quantise.open_session(int8.folder / artifact.USER_ENCODER)
    found, expected = encoder.encode(sequences, lengths), exact.encode(sequences, lengths)
    assert not np.array_equal(found, expected)
    cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() == pytest.approx(1 - int8.manifest.parity[artifact.USER_ENCODER_INT8], abs=1e-6)


def test_an_encoder_that_differs_stays_in_fp32(
    int8: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quantise, "LEAST_COSINE", 2.0)
    with caplog.at_level(logging.WARNING):
        manifest = export_artifact(int8.trained, int8.dataset, tmp_path, item_ids=int8.item_ids, meta={})
    assert "user encoder stays in fp32: in 8 bits its cosine is 0.99" in caplog.text
    assert artifact.USER_ENCODER_INT8 not in {*manifest.parity, *manifest.checksums}
    assert not (tmp_path / artifact.USER_ENCODER_INT8).exists()
    assert not UserEncoder(tmp_path).is_int8


def test_versions_from_before_have_fp32(crossan: Version) -> None:
    assert artifact.USER_ENCODER_INT8 not in crossan.manifest.checksums
    assert not UserEncoder(crossan.folder).is_int8


def test_users_are_asked_about_what_can_be_recommended(crossan: Version) -> None:
    """Item 0 has no content and so no vector; the user who did nothing else is not asked about."""
    sequences, lengths = quantise.asked_users(crossan.trained, interactions_of([[0, 3, 5], [0], [7]]))
    assert lengths.tolist() == [2, 1]
    np.testing.assert_array_equal(sequences[0], crossan.trained.vectors[[3, 5]])
    np.testing.assert_array_equal(sequences[1, -1], crossan.trained.vectors[7])


def test_a_user_does_not_depend_on_who_is_encoded_together(int8: Version) -> None:
    """To the last bit, whatever the others' length and however far off they are: scales are fixed, padding unseen."""
    encoder = UserEncoder(int8.folder)
    rng = np.random.default_rng(0)
    width = int8.trained.vectors.shape[1]
    scales = rng.choice([1, 100], 40).tolist()
    sequences = [scale * rng.standard_normal((1 + row % 10, width), np.float32) for row, scale in enumerate(scales)]
    together = encoder.encode_many(sequences)
    for sequence, user in zip(sequences, together, strict=True):
        assert user.tolist() == encoder.encode_many([sequence])[0].tolist()
        assert user.tolist() == encoder.encode(sequence[None], np.array([len(sequence)]))[0].tolist()


def test_ranges_come_from_users_without_their_padding(int8: Version) -> None:
    """What stands in the padding, here far off, is not what an activation is."""
    sequences, lengths = quantise.asked_users(int8.trained, int8.dataset.interactions)
    lengths = np.minimum(lengths, 3)
    network = onnx.load(int8.folder / artifact.USER_ENCODER)
    expected = quantise._ranges(network, sequences[:, -3:], lengths)
    sequences[:, :-3] = 1e6
    assert quantise._ranges(network, sequences, lengths) == expected
    assert all(found.least <= 0 < found.largest for found in expected.values())
