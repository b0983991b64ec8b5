"""Training and question batches: right-aligned rows of item numbers, cut by numpy without a loop over users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.data.dataset import Interactions

PADDING = -1
LEAST_STEPS = 16
LEAST_ROWS = 8


@dataclass(frozen=True)
class Batch:
    """One training step's windows: after `inputs[b, :t + 1]` came `targets[b, t]`.

    Attributes:
        inputs: int64 [b, s], padded on the left with -1.
        targets: int64 [b, s], padded alike.
        lengths: int64 [b], the inputs that are not padding.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def target_count(self) -> int:
        """How many targets there are."""
        return int(self.lengths.sum())

    def items(self) -> NDArray[np.int64]:
        """Returns the different items, ascending."""
        found = np.unique(np.concatenate([self.inputs, self.targets]))
        return found[found >= 0]

    def share(self, rank: int, count: int) -> Batch:
        """Returns every `count`-th row, from `rank` on."""
        rows = slice(rank, None, count)
        return Batch(self.inputs[rows], self.targets[rows], self.lengths[rows])


def right_aligned(interactions: Interactions, ends: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns int64 [b, max(lengths)]: the `lengths[b]` events before position `ends[b]`, last one on the right."""
    width = int(lengths.max(initial=1))
    back = np.arange(width, 0, -1)
    rows = interactions.items[np.maximum(ends[:, None] - back, 0)].astype(np.int64)
    return np.where(back <= lengths[:, None], rows, PADDING)


def last_events(interactions: Interactions, max_length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the last events of every user, int64 [b, s] right-aligned, and how many there are, int64 [b]."""
    lengths = np.minimum(interactions.lengths, max_length)
    return right_aligned(interactions, interactions.offsets[1:], lengths), lengths


def window_ends(
    interactions: Interactions, max_length: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cuts every history into windows at random places, so that over the epochs every event is learned from everywhere.

    A history of n events has n - 1 targets. They are cut into runs of `max_length`, the newest run having a random
    length; each window ends with a run and reaches back up to `max_length` inputs, so the cut costs no context.

    Returns:
        The position after each window's last target and the number of its inputs, int64 [windows] each.
    """
    targets = np.maximum(interactions.lengths - 1, 0)
    newest = rng.integers(1, max_length + 1, len(targets))
    runs = np.where(targets > 0, 1 + -(-np.maximum(targets - newest, 0) // max_length), 0)
    user = np.repeat(np.arange(len(targets)), runs)
    number = np.arange(len(user)) - np.repeat(np.cumsum(runs) - runs, runs)
    before = np.where(number > 0, newest[user] + (number - 1) * max_length, 0)
    return interactions.offsets[1:][user] - before, np.minimum(targets[user] - before, max_length)


def newest_ends(
    interactions: Interactions, max_length: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Takes the last `max_length` targets of every user, so that older events are never learned from.

    That is what SASRec (Kang and McAuley, 2018) and its reimplementations do; the same windows in every epoch.

    Returns:
        The position after each window's last target and the number of its inputs, int64 [users with two events] each.
    """
    users = np.flatnonzero(interactions.lengths > 1)
    return interactions.offsets[1:][users], np.minimum(interactions.lengths[users] - 1, max_length)


WINDOWS = {"all": window_ends, "last": newest_ends}
"""What an epoch goes through, by name."""


def training_batches(
    interactions: Interactions, batch_size: int, max_length: int, rng: np.random.Generator, *, windows: str = "all"
) -> Iterator[Batch]:
    """Yields one epoch of shuffled windows in batches of at most `batch_size`.

    Little data is cut into smaller batches, so that an epoch has sixteen steps or batches of eight. Within a batch,
    rows of like length stand together: what encodes them in parts has little padding.
    """
    ends, lengths = WINDOWS[windows](interactions, max_length, rng)
    order = rng.permutation(len(ends))
    size = min(batch_size, max(len(order) // LEAST_STEPS, LEAST_ROWS))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        yield Batch(
            inputs=right_aligned(interactions, ends[rows] - 1, lengths[rows]),
            targets=right_aligned(interactions, ends[rows], lengths[rows]),
            lengths=lengths[rows],
        )
