"""Encoders that a version has changed: only the trained weights are kept, beside the name of what they change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from model import artifact
from model.artifact import ArtifactError, Manifest, ModalityManifest
from model.config import parse_config
from model.encoders.base import Encoder, EncoderError, weights_dtype
from model.encoders.spec import EncoderSpec
from model.encoders.trainable import TunedEncoder, take_apart
from model.methods.registry import REGISTRY

HALF_ABOVE_BYTES = 1 << 30
"""Trained weights that take more than this in fp32 are stored in fp16."""


def save_tuned(tuned: TunedEncoder, folder: Path) -> Path:
    """Writes the trained weights of an encoder and returns the file."""
    path = folder / artifact.encoder_file(tuned.spec.modality)
    save_file(_stored(tuned.weights), path)
    return path


def _stored(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    is_large = sum(4 * weight.numel() for weight in weights.values()) > HALF_ABOVE_BYTES
    kind = torch.float16 if is_large else torch.float32
    return {name: weight.to(kind).contiguous() for name, weight in weights.items()}


def adapted_fingerprint(base: str, method: str, checksum: str) -> str:
    """Returns the sha256 (hex) that the states of a changed encoder are kept under.

    Args:
        base: fingerprint of the encoder it started from.
        method: that says where the weights belong.
        checksum: of the file with the trained weights.
    """
    parts = {"base": base, "method": method, "weights": checksum}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def load_adapted(
    folder: Path, manifest: Manifest, modality: str, *, device: str = "cpu", spec: EncoderSpec | None = None
) -> Encoder:
    """Loads the encoder of one modality as a version has changed it; its states have the same form as before.

    Args:
        folder: the artifact.
        manifest: of that artifact.
        modality: one whose encoder was trained (its `base` is not empty).
        device: of torch.
        spec: where the encoder that training started from lies now; None: where it lay then.

    Raises:
        ArtifactError: the version has no such encoder, or its file is missing or damaged.
        SpecError: the encoder that training started from cannot be found.
        EncoderError: it is not the one that it was, or cannot be used.
    """
    entry = _entry(manifest, modality)
    loaded = take_apart(spec or EncoderSpec.from_dict(entry.spec or {}))
    if loaded.fingerprint != entry.base:
        raise EncoderError(f"{loaded.spec.model} is not the {modality} encoder that the version was trained from")
    adapt = REGISTRY[manifest.method].adapt
    if adapt is None:
        raise ArtifactError(f"{artifact.MANIFEST}: {manifest.method} does not change encoders")
    tower = adapt(loaded.parts.tower, parse_config(manifest.method, manifest.hyperparameters))
    path = artifact.checked_path(folder, manifest, artifact.encoder_file(modality))
    try:
        weights = {name: weight.float() for name, weight in load_file(path).items()}
        _, unexpected = tower.load_state_dict(weights, strict=False)
    except (SafetensorError, RuntimeError) as error:
        raise ArtifactError(f"{path.name}: does not fit the encoder ({error})") from error
    if unexpected:
        raise ArtifactError(f"{path.name}: does not fit the encoder (it has no {unexpected[0]})")
    tower = tower.to(weights_dtype(loaded.spec, device))
    return Encoder(loaded.spec, entry.encoder, replace(loaded.parts, tower=tower), device)


def _entry(manifest: Manifest, modality: str) -> ModalityManifest:
    for entry in manifest.modalities:
        if entry.name == modality and entry.base:
            return entry
    raise ArtifactError(f"{artifact.MANIFEST}: the version has no {modality} encoder of its own")
