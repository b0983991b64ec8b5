"""Hidden states as the item tower reads them: the selected layers of the asked items, with a mask of what is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.data.dataset import Dataset, FeatureTable

MEMORY_BUDGET_BYTES = 2 * 1024**3


class StateInputs:
    """Reads (present, states of modality 1, ... m) of items; the encoders never run.

    The selected layers of the whole catalogue are held on the device in fp32 when they fit into `budget_bytes`;
    otherwise every call reads its rows from the (memory-mapped) tables.
    """

    def __init__(
        self,
        dataset: Dataset,
        layers: Sequence[Sequence[int]],
        *,
        device: str = "cpu",
        budget_bytes: int = MEMORY_BUDGET_BYTES,
    ) -> None:
        self._tables = list(zip(dataset.features, [list(chosen) for chosen in layers], strict=True))
        self._present = dataset.present
        self._device = device
        row_bytes = 4 * sum(len(chosen) * table.states.shape[2] for table, chosen in self._tables)
        everything = np.arange(dataset.item_count)
        self._everything = torch.from_numpy(everything).to(device)
        self._whole = self._read(everything) if row_bytes * dataset.item_count <= budget_bytes else None

    def gather(self, items: Tensor) -> tuple[Tensor, ...]:
        """Returns present bool [n, m] and, for each modality, float32 [n, l, D_k]; zeros where it is absent."""
        if self._whole is None:
            return self._read(items.cpu().numpy())
        if len(items) == len(self._everything) and torch.equal(items, self._everything):
            return self._whole
        return tuple(part[items] for part in self._whole)

    def rewrite(self, changes: Sequence[Callable[[Tensor], Tensor]]) -> bool:
        """Changes the states [n, l, D_k] of each modality once for all; False, and nothing done, if not in memory."""
        if self._whole is None:
            return False
        present, *states = self._whole
        self._whole = (present, *(change(part) for change, part in zip(changes, states, strict=True)))
        return True

    def _read(self, items: NDArray[np.int64]) -> tuple[Tensor, ...]:
        parts: list[NDArray[np.bool_] | NDArray[np.float32]] = [self._present[items]]
        parts += [selected_states(table, layers, items) for table, layers in self._tables]
        return tuple(torch.from_numpy(part).to(self._device) for part in parts)


class NumberInputs:
    """Reads the item numbers themselves, for a method without content."""

    def __init__(self, *, device: str = "cpu") -> None:
        self._device = device

    def gather(self, items: Tensor) -> tuple[Tensor, ...]:
        """Returns the numbers, int64 [n]."""
        return (items.to(self._device),)


def selected_states(table: FeatureTable, layers: Sequence[int], items: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns float32 [n, l, D_k], zeros where an item lacks the modality; reads each stored row at most once."""
    rows = table.row_of_item[items]
    states = np.zeros((len(items), len(layers), table.states.shape[2]), dtype=np.float32)
    there = rows >= 0
    stored, place = np.unique(rows[there], return_inverse=True)
    states[there] = np.asarray(table.states[stored][:, list(layers)], dtype=np.float32)[place]
    return states
