"""What a version keeps of a changed encoder, and what is read back from it."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model import adapted, export
from model.adapted import adapted_fingerprint, load_adapted, save_tuned
from model.artifact import ArtifactError, Manifest, ModalityManifest, checksum, encoder_file, load_manifest, verify
from model.data.dataset import Dataset
from model.encoders.base import EncoderError, load_encoder
from model.encoders.spec import EncoderSpec
from model.encoders.trainable import TunedEncoder
from model.export import ENCODERS, ENCODERS_TOLERANCE, ParityError, export_artifact, restore
from model.methods.assembly import assemble, separate
from model.runtime import ItemTower
from model.train import Trained, fit
from tests.fixtures.tiny_models import tiny_model
from tests.model.conftest import small_config
from tests.model.raw_media import titles

METHODS = ("full", "adapter", "lora", "bitfit")


class Stored(NamedTuple):
    folder: Path
    manifest: Manifest
    expected: np.ndarray
    """Last states [4, 32] in fp32, as the network in training gives them."""


def stored(raw: Dataset, method: str, folder: Path) -> Stored:
    """An encoder with trained weights moved at random, saved as an artifact keeps it, without its other files."""
    config = small_config(method)
    assembly = assemble(config, raw.only("text"), device="cpu")
    network = assembly.network.eval()
    (encoder,) = network.tower.trainable()
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in encoder.network.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
        _, media = assembly.inputs.gather(torch.arange(4))
        expected = encoder(media)[:, 0].numpy()
    _, tuned = separate(network)
    path = save_tuned(tuned["text"], folder)
    fingerprint = adapted_fingerprint(tuned["text"].base, method, checksum(path))
    entry = ModalityManifest("text", 32, 4, (3,), fingerprint, tuned["text"].base, tuned["text"].spec.to_dict())
    manifest = Manifest(
        method, config.hyperparameters(), (entry,), 0, 0, 0, {}, {}, 0, {}, {}, checksums={path.name: checksum(path)}
    )
    return Stored(folder, manifest, expected)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_read_back_gives_the_trained_states(raw: Dataset, method: str, tmp_path: Path) -> None:
    one = stored(raw, method, tmp_path)
    encoder = load_adapted(one.folder, one.manifest, "text")
    (spec,) = (table.spec for table in raw.media if table.modality == "text")
    assert (encoder.layers, encoder.width, encoder.spec) == (4, 32, spec)
    assert encoder.fingerprint == one.manifest.modalities[0].encoder
    states = encoder.encode(titles()[:4])
    assert states.dtype == np.float16
    np.testing.assert_allclose(states[:, -1], one.expected, rtol=2.0**-11, atol=1e-5)
    assert np.abs(states[:, -1] - load_encoder(spec).encode(titles()[:4])[:, -1]).max() > 0.01


def test_only_trained_weights_are_kept(raw: Dataset, tmp_path: Path) -> None:
    one = stored(raw, "lora", tmp_path)
    kept = load_file(one.folder / encoder_file("text"))
    assert len(kept) == 3 * 2 * 2, "A and B of query and value in three blocks"
    assert all("lora_" in name for name in kept)


def test_the_fingerprint_follows_from_all_that_decides_the_states() -> None:
    first = adapted_fingerprint("a" * 64, "lora", "b" * 64)
    others = [("c" * 64, "lora", "b" * 64), ("a" * 64, "full", "b" * 64), ("a" * 64, "lora", "c" * 64)]
    assert len({first, *(adapted_fingerprint(*other) for other in others)}) == 4
    assert len(first) == 64


def test_large_weights_are_stored_in_half_the_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tuned = TunedEncoder(EncoderSpec("text", "x"), "", {"weight": torch.full((2, 3), 1 / 3)})
    limits = {24: torch.float32, 23: torch.float16}
    for limit, kind in limits.items():
        monkeypatch.setattr(adapted, "HALF_ABOVE_BYTES", limit)
        assert load_file(save_tuned(tuned, tmp_path))["weight"].dtype == kind


def test_what_does_not_fit_is_refused(raw: Dataset, tmp_path: Path, tiny_folder: Path) -> None:
    one = stored(raw, "lora", tmp_path)
    with pytest.raises(ArtifactError, match="no image encoder of its own"):
        load_adapted(one.folder, one.manifest, "image")
    other = EncoderSpec("text", str(tiny_model(tiny_folder, "llama")), max_tokens=64)
    with pytest.raises(EncoderError, match="is not the text encoder that the version was trained from"):
        load_adapted(one.folder, one.manifest, "text", spec=other)
    with pytest.raises(ArtifactError, match="frozen does not change encoders"):
        load_adapted(one.folder, dataclasses.replace(one.manifest, method="frozen", hyperparameters={}), "text")
    with pytest.raises(ArtifactError, match="does not fit the encoder"):
        load_adapted(one.folder, dataclasses.replace(one.manifest, method="full", hyperparameters={}), "text")
    (one.folder / encoder_file("text")).write_bytes(b"damaged")
    with pytest.raises(ArtifactError, match="does not have the checksum"):
        load_adapted(one.folder, one.manifest, "text")


@pytest.fixture(scope="module")
def trained(raw: Dataset) -> Trained:
    config = small_config("lora", epochs=1, encoder_learning_rate=1e-2)
    return fit(raw, config, on_progress=lambda progress: None, should_stop=lambda: False)


@pytest.fixture(scope="module")
def folder(trained: Trained, raw: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts") / "lora"
    meta = {"encoders": {"text": "e" * 64, "image": "e" * 64}}
    export_artifact(trained, raw, folder, item_ids=[f"i{row}" for row in range(raw.item_count)], meta=meta)
    return folder


def test_vectors_of_raw_media_through_what_is_on_disk(trained: Trained, folder: Path, raw: Dataset) -> None:
    manifest = verify(folder)
    states = {}
    for table in raw.media:
        encoder = load_adapted(folder, manifest, table.modality)
        states[table.modality] = np.zeros((raw.item_count, encoder.layers, encoder.width), np.float16)
        states[table.modality][table.row_of_item >= 0] = encoder.encode(table.samples)
    vectors, shares = ItemTower(folder).encode(states, raw.present)
    off = np.linalg.norm(vectors - trained.vectors, axis=1) / np.linalg.norm(trained.vectors, axis=1)
    assert off.max() <= ENCODERS_TOLERANCE
    assert 0 < manifest.parity[ENCODERS] <= ENCODERS_TOLERANCE
    np.testing.assert_allclose(shares, trained.shares, atol=2e-2)


def test_the_manifest_names_both_encoders(folder: Path, raw: Dataset) -> None:
    for entry, table in zip(load_manifest(folder).modalities, raw.media, strict=True):
        weights = checksum(folder / encoder_file(entry.name))
        assert entry.base == load_encoder(table.spec).fingerprint
        assert entry.spec == table.spec.to_dict()
        assert entry.encoder == adapted_fingerprint(entry.base, "lora", weights)


def test_the_torch_network_without_its_encoders_comes_back(trained: Trained, folder: Path) -> None:
    torch.testing.assert_close(restore(folder).state_dict(), trained.recommender.state_dict())


def test_encoders_that_say_something_else_are_not_published(
    trained: Trained, raw: Dataset, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(export, "ENCODERS_TOLERANCE", 1e-9)
    with pytest.raises(ParityError, match="encoders differs"):
        export._with_encoders_checked(load_manifest(folder), trained, raw, folder)


def test_a_version_of_some_of_the_modalities_is_exported(raw: Dataset, tmp_path: Path) -> None:
    config = small_config("bitfit", epochs=1, modalities="text")
    trained = fit(raw, config, on_progress=lambda progress: None, should_stop=lambda: False)
    # As the service loads them: no media but those of the modalities that are wanted.
    some = dataclasses.replace(raw, media=[table for table in raw.media if table.modality == "text"])
    ids = [f"i{row}" for row in range(raw.item_count)]
    manifest = export_artifact(trained, some, tmp_path / "version", item_ids=ids, meta={})
    assert [one.name for one in manifest.modalities] == ["text"]
    assert manifest.parity[ENCODERS] <= ENCODERS_TOLERANCE


def test_weights_are_used_in_the_precision_that_the_encoder_asks_for(raw: Dataset, tmp_path: Path) -> None:
    one = stored(raw, "bitfit", tmp_path)
    (spec,) = (table.spec for table in raw.media if table.modality == "text")
    half = dataclasses.replace(spec, dtype="bfloat16")
    entry = dataclasses.replace(one.manifest.modalities[0], base=load_encoder(half).fingerprint)
    manifest = dataclasses.replace(one.manifest, modalities=(entry,))
    states = load_adapted(one.folder, manifest, "text", spec=half).encode(titles()[:4])
    # Eight bits of mantissa, through three blocks.
    np.testing.assert_allclose(states[:, -1], one.expected, atol=0.1)
