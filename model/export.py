"""From a trained recommender to an artifact: ONNX compared with torch, item vectors, checksums, manifest last."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import numpy as safetensors_numpy
from safetensors import torch as safetensors_torch
from torch import Tensor, nn

from model import artifact
from model.adapted import adapted_fingerprint, load_adapted, save_tuned
from model.artifact import Manifest, ModalityManifest
from model.config import CatalogueShape, ModalityConfig, TrainingConfig, parse_config
from model.data.dataset import Dataset
from model.data.media import media_of
from model.encoders.trainable import TunedEncoder
from model.methods.assembly import build_network
from model.methods.registry import REGISTRY
from model.modules.recommender import Recommender
from model.modules.score import PrefixEncoder
from model.modules.served_encoder import for_serving
from model.quantise import asked_users, is_wanted, quantise_user_encoder
from model.runtime import open_session
from model.train import Trained

OPSET = 23
"""The first with attention as one operator."""
TOLERANCE = 1e-4
ENCODERS = "encoders"
ENCODERS_TOLERANCE = 2e-2
"""Relative. Stored states are fp16 and so off by up to 2^-11 of their size, which grows where the tower first takes a
common part away that is larger than what tells items apart: up to forty times that is allowed for."""
ENCODED_ITEMS = 8
"""So many items are taken from the raw medium to the vector to compare."""
DYNAMIC = torch.export.Dim.DYNAMIC
PACKAGES = ("numpy", "onnx", "onnxruntime", "onnxscript", "safetensors", "torch")


class ParityError(Exception):
    """ONNX and torch do not agree; the artifact must not be published."""


class _LastPosition(nn.Module):
    """The user encoder as it is exported: whole sequences to one vector each."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Takes sequences [b, s, w] and lengths [b]; returns [b, w]."""
        encoded: Tensor = cast(PrefixEncoder, self.encoder).last(sequences, lengths)
        return encoded


class _StatesByName(nn.Module):
    """The item tower as it is exported: one input for each modality."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, present: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Takes present bool [n, m] and m states [n, l, D_k]; returns vectors [n, d_e] and shares [n, m]."""
        described: tuple[Tensor, Tensor] = self.tower(present, *states)
        return described


def export_artifact(
    trained: Trained, dataset: Dataset, folder: Path, *, item_ids: Sequence[str], meta: Mapping[str, Any]
) -> Manifest:
    """Writes a version to `folder`; the manifest comes last, so that a folder without one is incomplete.

    Args:
        trained: what to export.
        dataset: what it was trained on.
        folder: made when it is not there.
        item_ids: the id of each item row of `dataset`.
        meta: kept in the manifest as it is; `meta["encoders"]` (modality → fingerprint) also stands at the modalities.

    Raises:
        ParityError: when ONNX differs from torch by more than 1e-4 anywhere, or trained encoders read back from disk
            give other vectors.
    """
    dataset = dataset.only(trained.config.tower.modalities)
    folder.mkdir(parents=True, exist_ok=True)
    described = np.flatnonzero(trained.rankable)
    modalities = tuple(_with_tuned(one, trained, folder) for one in _modalities(trained, meta.get("encoders", {})))
    tuned = [artifact.encoder_file(modality) for modality in trained.encoders]
    # Copies: a part that is used in several places has several names, which the format takes for several tensors.
    weights = {name: tensor.clone() for name, tensor in trained.recommender.state_dict().items()}
    (folder / artifact.WEIGHTS).write_bytes(safetensors_torch.save(weights))
    vectors = {"vectors": trained.vectors[described], "shares": trained.shares[described]}
    (folder / artifact.ITEM_VECTORS).write_bytes(safetensors_numpy.save(vectors))
    (folder / artifact.ITEM_IDS).write_text(json.dumps([item_ids[row] for row in described.tolist()]), encoding="utf-8")
    parity = {artifact.USER_ENCODER: _export_user_encoder(trained, folder / artifact.USER_ENCODER)}
    if modalities:
        parity[artifact.ITEM_TOWER] = _export_item_tower(trained, folder / artifact.ITEM_TOWER, modalities)
    _require_parity(parity)
    parity |= _export_int8(trained, dataset, folder)
    files = sorted({artifact.WEIGHTS, artifact.ITEM_VECTORS, artifact.ITEM_IDS, *parity, *tuned})
    manifest = Manifest(
        method=trained.config.method,
        hyperparameters=trained.config.hyperparameters(),
        modalities=modalities,
        item_count=len(described),
        item_width=trained.vectors.shape[1],
        max_length=trained.config.user_encoder.max_length,
        metrics=trained.metrics,
        parity=parity,
        opset=OPSET,
        packages={name: version(name) for name in PACKAGES},
        meta={**meta, "catalogue_items": dataset.item_count},
        checksums={name: artifact.checksum(folder / name) for name in files},
    )
    if tuned:
        manifest = _with_encoders_checked(manifest, trained, dataset, folder)
    (folder / artifact.MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _modalities(trained: Trained, encoders: Mapping[str, str]) -> tuple[ModalityManifest, ...]:
    select = REGISTRY[trained.config.method].select_layers
    if select is None:
        return ()
    return tuple(
        ModalityManifest(
            name=modality.name,
            width=modality.width,
            layers_total=modality.layers_total,
            layers=tuple(select(trained.config, modality)),
            encoder=encoders.get(modality.name, ""),
        )
        for modality in trained.shape.modalities
    )


def _with_tuned(entry: ModalityManifest, trained: Trained, folder: Path) -> ModalityManifest:
    """Returns the entry of a modality; where the encoder was trained, with the new encoder's fingerprint."""
    tuned: TunedEncoder | None = trained.encoders.get(entry.name)
    if tuned is None:
        return entry
    weights = artifact.checksum(save_tuned(tuned, folder))
    fingerprint = adapted_fingerprint(tuned.base, trained.config.method, weights)
    return dataclasses.replace(entry, encoder=fingerprint, base=tuned.base, spec=tuned.spec.to_dict())


def _require_parity(parity: Mapping[str, float]) -> None:
    for name, difference in parity.items():
        allowed = ENCODERS_TOLERANCE if name == ENCODERS else TOLERANCE
        if not difference <= allowed:
            raise ParityError(f"{name} differs from torch by {difference:.2e}, allowed are {allowed:.0e}")


def _export_user_encoder(trained: Trained, path: Path) -> float:
    """Writes the user encoder and returns its largest difference to torch over batches and lengths of all kinds."""
    network = _LastPosition(cast(nn.Module, trained.recommender.encoding)).eval()
    served = _LastPosition(for_serving(network.encoder)).eval()
    longest, width = trained.config.user_encoder.max_length, trained.vectors.shape[1]
    rng = np.random.default_rng(0)

    def example(users: int, steps: int) -> tuple[Tensor, Tensor]:
        sequences = rng.standard_normal((users, steps, width), dtype=np.float32)
        return torch.from_numpy(sequences), torch.from_numpy(rng.integers(1, steps + 1, users))

    shapes = ({0: DYNAMIC, 1: DYNAMIC}, {0: DYNAMIC})
    _write(served, example(3, max(longest - 1, 1)), path, (["sequences", "lengths"], ["users"], shapes))
    sizes = [(1, 1), (1, longest), (2, min(2, longest)), (5, max(longest // 2, 1)), (7, longest)]
    return _largest_difference(network, path, [example(*size) for size in sizes])


def _export_int8(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Writes the user encoder in 8 bits where that is wanted and changes nothing; returns its parity then."""
    if not is_wanted(trained.config):
        return {}
    sequences, lengths = asked_users(trained, dataset.interactions)
    target = folder / artifact.USER_ENCODER_INT8
    cosine = quantise_user_encoder(folder / artifact.USER_ENCODER, target, sequences=sequences, lengths=lengths)
    return {artifact.USER_ENCODER_INT8: max(1 - cosine, 0.0)} if target.exists() else {}


def _export_item_tower(trained: Trained, path: Path, modalities: Sequence[ModalityManifest]) -> float:
    """Writes the item tower and returns its largest difference to torch, with and without missing modalities."""
    content = REGISTRY[trained.config.method].content_tower(trained.recommender.tower)
    network = _StatesByName(trained.recommender.describing(content)).eval()
    rng = np.random.default_rng(0)

    def example(items: int, present: NDArray[np.bool_]) -> tuple[Tensor, list[Tensor]]:
        shapes = [(items, len(one.layers), one.width) for one in modalities]
        states = [torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for shape in shapes]
        return torch.from_numpy(present), states

    count = len(modalities)
    names = ["present", *(f"states_{one.name}" for one in modalities)]
    shapes = ({0: DYNAMIC}, [{0: DYNAMIC}] * count)
    _write(network, example(3, np.ones((3, count), np.bool_)), path, (names, ["vectors", "shares"], shapes))
    alone = np.eye(count, dtype=np.bool_)
    whole = np.ones((9, count), np.bool_)
    masks = [whole[:1], whole, alone, ~alone, rng.random((33, count)) < 0.5]
    return _largest_difference(network, path, [example(len(mask), mask) for mask in masks])


def _with_encoders_checked(manifest: Manifest, trained: Trained, dataset: Dataset, folder: Path) -> Manifest:
    """Takes a few items from the raw medium to the vector by what is on disk alone, and notes the difference."""
    described = np.flatnonzero(trained.rankable)
    items = described[:: -(-len(described) // ENCODED_ITEMS)]
    present = dataset.present[items]
    feed: dict[str, NDArray[Any]] = {"present": present}
    for column, (modality, media) in enumerate(zip(manifest.modalities, media_of(dataset), strict=True)):
        encoder = load_adapted(folder, manifest, modality.name)
        samples = [media.samples[row] for row in media.row_of_item[items[present[:, column]]]]
        states = np.zeros((len(items), len(modality.layers), modality.width), np.float32)
        states[present[:, column]] = encoder.encode(samples)[:, list(modality.layers)]
        feed[f"states_{modality.name}"] = states
    vectors, _ = open_session(folder / artifact.ITEM_TOWER).run(None, feed)
    difference = np.linalg.norm(vectors - trained.vectors[items], axis=1)
    worst = float((difference / np.linalg.norm(trained.vectors[items], axis=1)).max())
    _require_parity({ENCODERS: worst})
    return dataclasses.replace(manifest, parity={**manifest.parity, ENCODERS: worst})


def _write(network: nn.Module, example: tuple[Any, ...], path: Path, names: tuple[list[str], list[str], Any]) -> None:
    """Exports with the given input names, output names and dynamic shapes, weights inside the file."""
    inputs, outputs, shapes = names
    with warnings.catch_warnings():
        # torch's own exporter still asks for a class that torch has deprecated.
        warnings.filterwarnings("ignore", r".*LeafSpec", FutureWarning)
        torch.onnx.export(
            network,
            example,
            path,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )


@torch.no_grad()
def _largest_difference(network: nn.Module, path: Path, examples: Sequence[tuple[Any, ...]]) -> float:
    session = open_session(path)
    names = [one.name for one in session.get_inputs()]
    worst = 0.0
    for example in examples:
        expected = network(*example)
        flat = [part for group in example for part in (group if isinstance(group, list) else [group])]
        found = session.run(None, {name: part.numpy() for name, part in zip(names, flat, strict=True)})
        pairs = zip([expected] if isinstance(expected, Tensor) else expected, found, strict=True)
        differences = [float(np.abs(one.numpy() - other).max()) for one, other in pairs]
        # Of numpy: it keeps what is not a number, which no parity can be.
        worst = float(np.max([worst, *differences]))
    return worst


def restore(folder: Path) -> Recommender:
    """Rebuilds the torch network of an artifact, in evaluation mode.

    Raises:
        ArtifactError: when a file is missing or damaged.
    """
    manifest = artifact.load_manifest(folder)
    config: TrainingConfig = parse_config(manifest.method, manifest.hyperparameters)
    modalities = tuple(ModalityConfig(one.name, one.width, one.layers_total) for one in manifest.modalities)
    shape = CatalogueShape(manifest.meta["catalogue_items"], modalities)
    network = build_network(config, shape)
    network.load_state_dict(safetensors_torch.load_file(artifact.checked_path(folder, manifest, artifact.WEIGHTS)))
    return network.eval()
