"""A version in use: its item tower and its user encoder in ONNX Runtime, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model import artifact

CPU = ("CPUExecutionProvider",)
USERS_AT_ONCE = 16
"""More of them, sorted by length, hardly cost less each: the cache is full, and there is more padding."""


def open_session(network: Path | bytes, providers: Sequence[str] | None = None, *, threads: int = 1) -> Any:
    """Opens an ONNX file, or its bytes; idle threads sleep instead of spinning: the process has other work."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(network, options, providers=list(providers or CPU))


class ItemTower:
    """Hidden states of items → item vectors."""

    def __init__(self, folder: Path, providers: Sequence[str] | None = None, *, threads: int = 1) -> None:
        """Loads the tower of an artifact.

        Raises:
            ArtifactError: when the file is damaged, or the version reads no content and so has none.
        """
        manifest = artifact.load_manifest(folder)
        path = artifact.checked_path(folder, manifest, artifact.ITEM_TOWER)
        self._modalities = manifest.modalities
        self._session = open_session(path, providers, threads=threads)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the modalities, in the order of the mask's columns."""
        return tuple(modality.name for modality in self._modalities)

    def encode(
        self, states: Mapping[str, NDArray[np.floating]], present: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encodes n items.

        Args:
            states: for each modality [n, layers_total, width], float16 or float32; what an absent modality holds is
                not read, and a modality that no item has may be left out.
            present: bool [n, m], columns in the order of `modalities`.

        Returns:
            Vectors float32 [n, d_e] and the shares of the modalities in them, float32 [n, m].

        Raises:
            ValueError: when a shape does not fit, or a modality that is present is left out.
        """
        if present.shape != (present.shape[0], len(self._modalities)):
            raise ValueError(f"present must have a column for each of {self.modalities}, not shape {present.shape}")
        feed: dict[str, NDArray[Any]] = {"present": present.astype(np.bool_)}
        for column, modality in enumerate(self._modalities):
            feed[f"states_{modality.name}"] = _selected(modality, states.get(modality.name), present[:, column])
        vectors, shares = self._session.run(["vectors", "shares"], feed)
        return vectors, shares


def _selected(
    modality: artifact.ModalityManifest, states: NDArray[np.floating] | None, there: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Returns the layers that the tower reads, float32 [n, l, width], zeros where the modality is absent."""
    if states is None:
        if there.any():
            raise ValueError(f"{modality.name} is present but has no states")
        return np.zeros((len(there), len(modality.layers), modality.width), dtype=np.float32)
    expected = (len(there), modality.layers_total, modality.width)
    if states.shape != expected:
        raise ValueError(f"{modality.name} states must have shape {expected}, not {states.shape}")
    chosen = states[:, list(modality.layers)].astype(np.float32)
    chosen[~there] = 0.0
    return chosen


class UserEncoder:
    """Item vectors of a sequence → user vector."""

    def __init__(self, folder: Path, providers: Sequence[str] | None = None, *, threads: int = 1) -> None:
        """Loads the user encoder of an artifact, in 8 bits where the artifact has it so.

        Raises:
            ArtifactError: when the file is missing or damaged.
        """
        manifest = artifact.load_manifest(folder)
        self.max_length = manifest.max_length
        self.is_int8 = artifact.USER_ENCODER_INT8 in manifest.checksums
        name = artifact.USER_ENCODER_INT8 if self.is_int8 else artifact.USER_ENCODER
        self._session = open_session(artifact.checked_path(folder, manifest, name), providers, threads=threads)

    def encode(self, sequences: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Encodes b users.

        Args:
            sequences: float32 [b, s, d_e], right-aligned, the most recent item last, 1 <= s <= max_length; what
                stands in the padding on the left is not read, but must be finite.
            lengths: int64 [b], items of each sequence, 1 <= length <= s.

        Returns:
            float32 [b, d_e]; the score of an item is the inner product with its vector.

        Raises:
            ValueError: when s is out of range.
        """
        if not 1 <= sequences.shape[1] <= self.max_length:
            raise ValueError(f"sequences must hold 1 to {self.max_length} items, not {sequences.shape[1]}")
        (users,) = self._session.run(["users"], {"sequences": sequences, "lengths": lengths})
        encoded: NDArray[np.float32] = users
        return encoded

    def encode_many(self, sequences: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Encodes b users whose sequences differ in length; each gets the vector that it gets alone.

        Args:
            sequences: of each user float32 [s_i, d_e], s_i >= 1, the most recent item last; the newest `max_length`
                are read.

        Returns:
            float32 [b, d_e], in the order of `sequences`.
        """
        newest = [one[-self.max_length :] for one in sequences]
        lengths = np.array([len(one) for one in newest], dtype=np.int64)
        order = np.argsort(lengths, kind="stable")
        users: NDArray[np.float32] = np.empty((len(newest), newest[0].shape[1]), dtype=np.float32)
        for start in range(0, len(order), USERS_AT_ONCE):
            rows = order[start : start + USERS_AT_ONCE]
            users[rows] = self.encode(_padded([newest[row] for row in rows]), lengths[rows])
        return users


def _padded(sequences: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Returns sequences [s_i, d], the longest one last, right-aligned in [b, s, d]."""
    count = len(sequences[-1])
    if len(sequences[0]) == count:
        return np.stack(sequences)
    padded = np.zeros((len(sequences), count, sequences[-1].shape[1]), dtype=np.float32)
    for row, one in zip(padded, sequences, strict=True):
        row[count - len(one) :] = one
    return padded
