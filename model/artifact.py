"""A model version on disk: its manifest, its checksums and its item vectors, readable without torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

FORMAT = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
ITEM_TOWER = "item_tower.onnx"
USER_ENCODER = "user_encoder.onnx"
USER_ENCODER_INT8 = "user_encoder_int8.onnx"
"""The same with 8-bit matrices; only where that was wanted and gives the same vectors."""
ITEM_VECTORS = "item_vectors.safetensors"
ITEM_IDS = "item_ids.json"


def encoder_file(modality: str) -> str:
    """Returns the name of the file with the trained weights of a modality's encoder."""
    return f"encoder_{modality}.safetensors"


class ArtifactError(Exception):
    """An artifact that is incomplete, damaged or of another format; the message names the file."""


@dataclass(frozen=True)
class ModalityManifest:
    """One modality that a version reads.

    Attributes:
        name: of the modality; the order in the manifest is the order of the mask's and the shares' columns.
        width: of a hidden state.
        layers_total: stored states for each item.
        layers: which of them the item tower reads, in order.
        encoder: fingerprint of the encoder that made them, empty when it was not given.
        base: fingerprint of the encoder that training started from; empty when the encoder is as it came.
        spec: of that encoder (`model.encoders.spec.EncoderSpec.to_dict`); None when the encoder is as it came.
    """

    name: str
    width: int
    layers_total: int
    layers: tuple[int, ...]
    encoder: str = ""
    base: str = ""
    spec: dict[str, Any] | None = None


@dataclass(frozen=True)
class Manifest:
    """What a version is, where it comes from and how good it was.

    Attributes:
        method: name of the adaptation method.
        hyperparameters: all of them, as `model.config.parse_config` reads them.
        modalities: what the item tower reads; empty for a method without content, which has no item tower.
        item_count: items with a vector.
        item_width: d_e.
        max_length: the most events that the user encoder reads.
        metrics: `validation` and `test` by metric name, `baselines` by name, `slices` and `modalities` of the test (see
            `model.evaluation.report`), and `epochs`, `best_epoch`, `seconds`.
        parity: the largest absolute difference between ONNX and torch, by file; of the user encoder in 8 bits what
            the lowest cosine to the exact one lacks of 1; `encoders`, where there are trained ones: the largest
            relative difference of a vector made by what is on disk, from the raw medium on.
        opset: of the ONNX files.
        packages: versions of what made the artifact.
        meta: what the caller wants kept, such as the data cut.
        checksums: SHA-256 of every other file, by name.
        format: of the artifact.
    """

    method: str
    hyperparameters: dict[str, Any]
    modalities: tuple[ModalityManifest, ...]
    item_count: int
    item_width: int
    max_length: int
    metrics: dict[str, Any]
    parity: dict[str, float]
    opset: int
    packages: dict[str, str]
    meta: dict[str, Any]
    checksums: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def to_json(self) -> str:
        """Returns the text of manifest.json."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, allow_nan=False)


def parse_manifest(text: str) -> Manifest:
    """Reads the text of a manifest.json.

    Raises:
        ArtifactError: when it is not a manifest of this format.
    """
    try:
        raw = json.loads(text)
        if raw["format"] != FORMAT:
            raise ArtifactError(f"{MANIFEST}: format {raw['format']}, this version reads {FORMAT}")
        modalities = [ModalityManifest(**{**one, "layers": tuple(one["layers"])}) for one in raw["modalities"]]
        return Manifest(**{**raw, "modalities": tuple(modalities)})
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"{MANIFEST}: not a manifest ({error})") from error


def load_manifest(folder: Path) -> Manifest:
    """Reads the manifest of an artifact.

    Raises:
        ArtifactError: when there is none, or it is damaged.
    """
    try:
        return parse_manifest((Path(folder) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{MANIFEST}: cannot be read ({error})") from error


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_path(folder: Path, manifest: Manifest, name: str) -> Path:
    """Returns the path of one file after comparing it with its checksum.

    Raises:
        ArtifactError: when the version has no such file, or it is missing or damaged.
    """
    if name not in manifest.checksums:
        raise ArtifactError(f"{name}: a {manifest.method} version has none")
    path = Path(folder) / name
    if not path.is_file():
        raise ArtifactError(f"{name}: missing")
    if checksum(path) != manifest.checksums[name]:
        raise ArtifactError(f"{name}: does not have the checksum in the manifest")
    return path


def verify(folder: Path) -> Manifest:
    """Compares every file of an artifact with its checksum and returns the manifest.

    Raises:
        ArtifactError: naming the first file that is missing or damaged.
    """
    manifest = load_manifest(folder)
    for name in manifest.checksums:
        checked_path(folder, manifest, name)
    return manifest


def load_item_vectors(folder: Path) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Returns the item ids, their vectors float32 [n, d_e] and the modality shares in them float32 [n, m].

    Raises:
        ArtifactError: when a file is missing or damaged.
    """
    manifest = load_manifest(folder)
    try:
        ids = json.loads(checked_path(folder, manifest, ITEM_IDS).read_text(encoding="utf-8"))
        arrays = load_file(checked_path(folder, manifest, ITEM_VECTORS))
        vectors, shares = arrays["vectors"], arrays["shares"]
    except (ValueError, KeyError, SafetensorError) as error:
        raise ArtifactError(f"{ITEM_VECTORS}: cannot be read ({error})") from error
    if not len(ids) == len(vectors) == len(shares) == manifest.item_count:
        raise ArtifactError(f"{ITEM_IDS}: {len(ids)} ids for {len(vectors)} vectors")
    return ids, vectors, shares
