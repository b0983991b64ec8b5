"""Negative items drawn from the catalogue, with the weights that make a sum over them stand for all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Drawn:
    """Different items, ascending, and how many of the catalogue's each stands for.

    Attributes:
        items: int64 [k].
        log_weights: float32 [k], log (times drawn / expected times): sum_i w_i f(i) has the expectation
            sum_(i in catalogue) f(i), whatever f.
    """

    items: NDArray[np.int64]
    log_weights: NDArray[np.float32]


class Sampler(Protocol):
    """One way to draw."""

    def draw(self, count: int, rng: np.random.Generator) -> Drawn:
        """Draws `count` items."""


class UniformSampler:
    """Every item is as likely; none is drawn twice.

    Args:
        catalogue: int64 [n], the items.
    """

    def __init__(self, catalogue: NDArray[np.int64]) -> None:
        self._catalogue = catalogue

    def draw(self, count: int, rng: np.random.Generator) -> Drawn:
        """Draws `count` items, all when there are fewer; each stands for n / count."""
        total = len(self._catalogue)
        count = min(count, total)
        rows = np.sort(rng.choice(total, count, replace=False, shuffle=False))
        return Drawn(self._catalogue[rows], np.full(count, np.log(total / count), dtype=np.float32))


class PopularitySampler:
    """An item is drawn in proportion to its events plus one, with replacement.

    Args:
        catalogue: int64 [n], the items.
        popularity: int64 [n], the events of each.
    """

    def __init__(self, catalogue: NDArray[np.int64], popularity: NDArray[np.int64]) -> None:
        self._catalogue = catalogue
        self._chance = (popularity + 1) / (popularity + 1).sum()
        self._cumulated = np.cumsum(self._chance)

    def draw(self, count: int, rng: np.random.Generator) -> Drawn:
        """Draws `count` times; an item drawn c times stands for c / (count x its chance)."""
        places = np.searchsorted(self._cumulated, rng.random(count), side="right")
        rows, times = np.unique(np.minimum(places, len(self._catalogue) - 1), return_counts=True)
        weights = np.log(times / (count * self._chance[rows]))
        return Drawn(self._catalogue[rows], weights.astype(np.float32))


SAMPLERS: dict[str, Callable[[NDArray[np.int64], NDArray[np.int64]], Sampler]] = {
    "uniform": lambda catalogue, popularity: UniformSampler(catalogue),
    "popularity": PopularitySampler,
}
"""By name; each takes the items [n] and the events of each [n]."""
