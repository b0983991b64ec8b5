"""The state of a training in one file: written whole or not at all, and read only by the same training."""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.config import TrainingConfig
from model.data.dataset import Dataset
from model.disk import sync_to_disk

log = logging.getLogger(__name__)

FORMAT = 1
ROWS_AT_ONCE = 4_096


@dataclass(frozen=True)
class State:
    """Tensors by name, and what else JSON can hold."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


@dataclass(frozen=True)
class Identity:
    """Whose state it is: what the configuration and the data of a training are, as hashes."""

    config: str
    data: str


class CheckpointFile:
    """Where a training leaves its state after each epoch, and finds it again.

    Args:
        path: of the file; its folder is made.
        identity: of the training that writes and reads it.
    """

    def __init__(self, path: Path, identity: Identity) -> None:
        self._path = path
        self._identity = identity

    def save(self, state: State) -> None:
        """Replaces the file: what was there stays until the new one is on disk."""
        header = {"format": FORMAT, "config": self._identity.config, "data": self._identity.data, "facts": state.facts}
        text = json.dumps(header)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
        metadata = {"header": text, "digest": _digest(text, tensors)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}.partial")
        try:
            save_file(tensors, partial, metadata)
            sync_to_disk(partial)
            partial.rename(self._path)
        finally:
            partial.unlink(missing_ok=True)
        sync_to_disk(self._path.parent)

    def load(self) -> State | None:
        """Returns the state of this very training, or None; the log says why a file that is there is not read."""
        if not self._path.exists():
            return None
        try:
            return self._read()
        except (_Unusable, SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            log.warning("training starts anew: the checkpoint %s is not used: %s", self._path.name, error)
            return None

    def _read(self) -> State:
        with safe_open(self._path, framework="pt") as file:
            metadata = file.metadata() or {}
            header = json.loads(metadata["header"])
            if header["format"] != FORMAT:
                raise _Unusable(f"its format is {header['format']}, not {FORMAT}")
            for name in ("config", "data"):
                if header[name] != getattr(self._identity, name):
                    raise _Unusable(f"it is of other {name}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        if metadata["digest"] != _digest(metadata["header"], tensors):
            raise _Unusable("it is damaged")
        return State(tensors, header["facts"])


class _Unusable(Exception):
    """Why a checkpoint is not read."""


def _digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def identity_of(config: TrainingConfig, dataset: Dataset) -> Identity:
    """Returns what tells a training from others: every option, every event, every stored state of every item."""
    options = json.dumps([config.method, config.hyperparameters()], sort_keys=True)
    found = hashlib.sha256(str(dataset.item_count).encode())
    for array in _arrays(dataset):
        found.update(f"{array.dtype.str}{array.shape}".encode())
        _update(found, array)
    for media in dataset.media:
        found.update(f"{media.spec}{len(media.samples)}".encode())
    return Identity(hashlib.sha256(options.encode()).hexdigest(), found.hexdigest())


def _arrays(dataset: Dataset) -> Iterator[NDArray[Any]]:
    """Yields all arrays of a dataset, in one order."""
    events = dataset.interactions
    yield events.offsets
    yield events.items
    yield np.empty(0) if events.times is None else events.times
    for table in dataset.features:
        yield np.frombuffer(table.modality.encode(), dtype=np.uint8)
        yield table.row_of_item
        yield table.states
    yield from (media.row_of_item for media in dataset.media)


def _update(found: Any, array: NDArray[Any]) -> None:
    """Adds an array to a hash, some rows at a time, since it may be larger than memory."""
    for start in range(0, len(array), ROWS_AT_ONCE):
        found.update(array[start : start + ROWS_AT_ONCE].tobytes())
