"""Raw media as encoders inside a network read them: loaded when they are needed, a few batches at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.data.dataset import Dataset, FeatureTable, MediaTable, TrainingDataError
from model.encoders.base import batched
from model.encoders.parts import Batch, Frontend

BATCHES_AT_ONCE = 8
"""So many batches of samples are held at once, so that samples of like lengths can be put together."""


@dataclass(frozen=True)
class LazyMedia:
    """The media of one modality of n items, decoded arrays lying wherever the table keeps them.

    Attributes:
        table: holds them.
        rows: those that are asked for, each once, ascending.
        place: int64 [n], positions in `rows`; -1 where an item has none.
        frontend: makes batches of them.
    """

    table: MediaTable
    rows: Sequence[int]
    place: Tensor
    frontend: Frontend

    def __iter__(self) -> Iterator[tuple[list[int], Batch]]:
        """Yields batches on the device, each with the positions in `rows` of what it holds."""
        size = self.table.spec.batch_size
        window = size * BATCHES_AT_ONCE
        for start in range(0, len(self.rows), window):
            samples = [self.table.samples[row] for row in self.rows[start : start + window]]
            for chosen in batched(self.frontend, samples, size):
                yield [start + number for number in chosen], self._batch([samples[number] for number in chosen])

    def _batch(self, samples: Sequence[object]) -> Batch:
        batch = self.frontend(samples)
        device = self.place.device
        inputs = {name: tensor.to(device) for name, tensor in batch.inputs.items()}
        return Batch(inputs, None if batch.mask is None else batch.mask.to(device))


class MediaInputs:
    """Reads (present, media of modality 1, … m) of items, for a network that holds the encoders.

    Args:
        dataset: its media, which the same items must have as its features.
        frontends: one for each modality.
        device: where the batches go.

    Raises:
        TrainingDataError: media are missing.
    """

    def __init__(self, dataset: Dataset, frontends: Sequence[Frontend], *, device: str) -> None:
        self._tables = list(zip(media_of(dataset), frontends, strict=True))
        self._present = torch.from_numpy(dataset.present)
        self._device = device

    def gather(self, items: Tensor) -> tuple[Tensor | LazyMedia, ...]:
        """Returns present bool [n, m] and, for each modality, the media of items int64 [n]."""
        here = items.cpu()
        media = (self._media(table, frontend, here) for table, frontend in self._tables)
        return (self._present[here].to(self._device), *media)

    def _media(self, table: MediaTable, frontend: Frontend, items: Tensor) -> LazyMedia:
        rows = table.row_of_item[items.numpy()]
        there = rows >= 0
        different, number = np.unique(rows[there], return_inverse=True)
        place = np.full(len(rows), -1, dtype=np.int64)
        place[there] = number
        return LazyMedia(table, different.tolist(), torch.from_numpy(place).to(self._device), frontend)


def media_of(dataset: Dataset) -> list[MediaTable]:
    """Returns the media of every modality that has features, in that order.

    Raises:
        TrainingDataError: some are missing.
    """
    tables = {table.modality: table for table in dataset.media}
    return [_fitting(features, tables.get(features.modality)) for features in dataset.features]


def _fitting(features: FeatureTable, media: MediaTable | None) -> MediaTable:
    if media is None:
        raise TrainingDataError(f"this method runs the encoders in training and needs the {features.modality} media")
    odd = int(np.count_nonzero((features.row_of_item >= 0) != (media.row_of_item >= 0)))
    if odd:
        raise TrainingDataError(f"{odd} items have {features.modality} media or states, but not both")
    return media
