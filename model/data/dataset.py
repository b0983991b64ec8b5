"""The catalogue and the events of one training, as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.config import CatalogueShape, ModalityConfig


class TrainingDataError(ValueError):
    """Data that nothing can be learned from; the message says what is needed and what was found."""


@dataclass(frozen=True)
class Interactions:
    """Events in compressed rows: user u did `items[offsets[u]:offsets[u + 1]]`, oldest first.

    Attributes:
        offsets: int64 [users + 1].
        items: int32 [events], each in [0, item_count).
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]

    def __len__(self) -> int:
        """Returns the number of users."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each user, int64 [users]."""
        return np.diff(self.offsets)

    @property
    def users(self) -> NDArray[np.int64]:
        """The user of each event, int64 [events]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def of(self, user: int) -> NDArray[np.int32]:
        """Returns the items of one user, oldest first."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def part(self, start: int, stop: int) -> Interactions:
        """Returns the users [start, stop) only."""
        offsets = self.offsets[start : stop + 1]
        return Interactions(offsets - offsets[0], self.items[offsets[0] : offsets[-1]])

    def keep(self, kept: NDArray[np.bool_]) -> Interactions:
        """Returns the events marked in `kept` [events], with every user still there."""
        counts = np.bincount(self.users[kept], minlength=len(self))
        return Interactions(np.concatenate([[0], np.cumsum(counts)]), self.items[kept])


def interactions_of(histories: Sequence[Sequence[int]]) -> Interactions:
    """Builds interactions from one list of item rows per user, oldest first."""
    lengths = np.array([len(history) for history in histories], dtype=np.int64)
    items = np.concatenate([np.asarray(history, dtype=np.int32) for history in histories] or [np.empty(0, np.int32)])
    return Interactions(np.concatenate([[0], np.cumsum(lengths)]), items)


@dataclass(frozen=True)
class FeatureTable:
    """Hidden states of one modality.

    Attributes:
        modality: its name.
        states: float16 [rows, layers_total, width], often memory-mapped.
        row_of_item: int32 [items], -1 where the item lacks the modality.
    """

    modality: str
    states: NDArray[np.float16]
    row_of_item: NDArray[np.int32]

    @property
    def config(self) -> ModalityConfig:
        """The name and sizes of this modality."""
        return ModalityConfig(self.modality, self.states.shape[2], self.states.shape[1])


@dataclass(frozen=True)
class Dataset:
    """A catalogue of `item_count` items, what is stored of them, and what users did with them."""

    item_count: int
    features: Sequence[FeatureTable]
    interactions: Interactions

    def __post_init__(self) -> None:
        items = self.interactions.items
        if len(items) and not (items.min() >= 0 and items.max() < self.item_count):
            raise TrainingDataError(f"events name items outside the catalogue of {self.item_count}")
        for table in self.features:
            if len(table.row_of_item) != self.item_count or table.row_of_item.max(initial=-1) >= len(table.states):
                raise TrainingDataError(f"the {table.modality} features do not fit a catalogue of {self.item_count}")

    @property
    def shape(self) -> CatalogueShape:
        """What a method needs to build its network."""
        return CatalogueShape(self.item_count, tuple(table.config for table in self.features))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which item has which modality, bool [n, m]."""
        columns = [table.row_of_item >= 0 for table in self.features]
        return np.stack(columns, axis=1) if columns else np.zeros((self.item_count, 0), dtype=np.bool_)
