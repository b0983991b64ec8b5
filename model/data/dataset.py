"""The catalogue and the events of one training, as numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.config import CatalogueShape, ModalityConfig
from model.encoders.decode import Sample
from model.encoders.spec import EncoderSpec


class TrainingDataError(ValueError):
    """Data that nothing can be learned from; the message says what is needed and what was found."""


@dataclass(frozen=True)
class Interactions:
    """Events in compressed rows: user u did `items[offsets[u]:offsets[u + 1]]`, oldest first.

    Attributes:
        offsets: int64 [users + 1].
        items: int32 [events], each in [0, item_count).
        times: int64 [events], seconds since 1970; None when only the order is known.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64] | None = None

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
        chosen = slice(offsets[0], offsets[-1])
        return Interactions(
            offsets - offsets[0], self.items[chosen], None if self.times is None else self.times[chosen]
        )

    def keep(self, kept: NDArray[np.bool_]) -> Interactions:
        """Returns the events marked in `kept` [events], with every user still there."""
        counts = np.bincount(self.users[kept], minlength=len(self))
        times = None if self.times is None else self.times[kept]
        return Interactions(np.concatenate([[0], np.cumsum(counts)]), self.items[kept], times)


def interactions_of(histories: Sequence[Sequence[int]], times: Sequence[Sequence[int]] | None = None) -> Interactions:
    """Builds interactions from one list of item rows per user, oldest first, and one of seconds since 1970."""
    lengths = np.array([len(history) for history in histories], dtype=np.int64)
    items = np.concatenate([np.asarray(history, dtype=np.int32) for history in histories] or [np.empty(0, np.int32)])
    seconds = None
    if times is not None:
        seconds = np.concatenate([np.asarray(one, dtype=np.int64) for one in times] or [np.empty(0, np.int64)])
    return Interactions(np.concatenate([[0], np.cumsum(lengths)]), items, seconds)


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
class MediaTable:
    """Decoded media of one modality, for methods that run the encoders in training.

    Attributes:
        spec: of the encoder that reads them; its modality is the table's.
        samples: from `model.encoders.decode.decode` with this spec; read one by one, so they may lie on disk.
        row_of_item: int32 [items], -1 where the item lacks the modality.
    """

    spec: EncoderSpec
    samples: Sequence[Sample]
    row_of_item: NDArray[np.int32]

    @property
    def modality(self) -> str:
        """Its name."""
        return self.spec.modality


@dataclass(frozen=True)
class Dataset:
    """A catalogue of `item_count` items, what is stored of them, and what users did with them.

    `features` are always there; `media`, in the same order, only where a method needs them.
    """

    item_count: int
    features: Sequence[FeatureTable]
    interactions: Interactions
    media: Sequence[MediaTable] = ()

    def __post_init__(self) -> None:
        items = self.interactions.items
        if len(items) and not (items.min() >= 0 and items.max() < self.item_count):
            raise TrainingDataError(f"events name items outside the catalogue of {self.item_count}")
        for table in self.features:
            if len(table.row_of_item) != self.item_count or table.row_of_item.max(initial=-1) >= len(table.states):
                raise TrainingDataError(f"the {table.modality} features do not fit a catalogue of {self.item_count}")

    def only(self, modalities: str) -> Dataset:
        """Returns the dataset with the named modalities ("text,image"), in its own order; all for an empty name.

        Raises:
            TrainingDataError: when one of them is not there.
        """
        wanted = [name.strip() for name in modalities.split(",") if name.strip()]
        there = [table.modality for table in self.features]
        for name in wanted:
            if name not in there:
                raise TrainingDataError(f"no {name} states to learn from; there are {', '.join(there) or 'none'}")
        if not wanted:
            return self
        return replace(
            self,
            features=[table for table in self.features if table.modality in wanted],
            media=[table for table in self.media if table.modality in wanted],
        )

    @property
    def shape(self) -> CatalogueShape:
        """What a method needs to build its network."""
        return CatalogueShape(self.item_count, tuple(table.config for table in self.features))

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which item has which modality, bool [n, m]."""
        columns = [table.row_of_item >= 0 for table in self.features]
        return np.stack(columns, axis=1) if columns else np.zeros((self.item_count, 0), dtype=np.bool_)
