"""The same metrics on parts of the held-out users: by how well known the target is, and by how long the history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model import metrics
from model.data.dataset import Interactions
from model.data.splits import Holdout


@dataclass(frozen=True)
class Bounds:
    """Counts from `low` up to `high`, both inside; None: without an end."""

    low: int
    high: int | None

    @property
    def name(self) -> str:
        """As it is reported: "0", "1-5" or "6+"."""
        if self.high is None:
            return f"{self.low}+"
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"

    def holds(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Returns which counts lie inside."""
        return (counts >= self.low) & (counts <= (np.inf if self.high is None else self.high))


ITEMS_BY_EVENTS = (Bounds(0, 0), Bounds(1, 5), Bounds(6, None), Bounds(0, 5))
"""Targets by their training events. The last one holds the first two: all that are cold."""
USERS_BY_HISTORY = (Bounds(1, 5), Bounds(6, 20), Bounds(21, 50), Bounds(51, None))
"""Users by the events in their history."""


def slice_metrics(
    ranks: NDArray[np.int64], holdout: Holdout, train: Interactions
) -> dict[str, dict[str, dict[str, float]]]:
    """Returns the metrics of every slice, by what it is cut by and its bounds; of an empty one only `users`, 0.

    Args:
        ranks: int64 [u], of the holdout's targets.
        holdout: u users' histories and targets.
        train: the events learned from.
    """
    highest = int(holdout.targets.max(initial=0))
    events = np.bincount(train.items, minlength=highest + 1)[holdout.targets]
    return {
        "items_by_events": _metrics_by(ITEMS_BY_EVENTS, events, ranks),
        "users_by_history": _metrics_by(USERS_BY_HISTORY, holdout.history.lengths, ranks),
    }


def _metrics_by(
    bounds: tuple[Bounds, ...], counts: NDArray[np.int64], ranks: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    return {one.name: metrics.summary(ranks[one.holds(counts)]) for one in bounds}
