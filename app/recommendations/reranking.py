"""Fills a page place by place where order alone does not decide: pins, category caps, diversity and exploration."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.recommendations.candidates import Pool
from app.recommendations.caps import Caps, has_caps
from app.recommendations.diversity import Diversity
from app.recommendations.exploration import Dice
from app.recommendations.options import RankingOptions

WIDE_POOL = 4
"""Diversity and caps choose among so many times the limit,"""
MIN_WIDE_POOL = 200
"""among so many at least,"""
MAX_SPARE = 500
"""and among so many more than the limit at most: every place costs one look at all of them."""

Refill = Callable[[frozenset[str], Sequence[int]], Pool]
"""Next candidates, given categories that are full and rows that have a place."""


class Placed(NamedTuple):
    """What stands in a place, with what probability, and whether it was pinned there."""

    row: int
    propensity: float
    is_pinned: bool


def pool_size(options: RankingOptions) -> int:
    """How many candidates a page is chosen from."""
    size = options.limit
    if options.explore:
        size = max(size, options.explore_pool)
    if options.diversity or has_caps(options):
        size = max(size, MIN_WIDE_POOL, min(WIDE_POOL * options.limit, options.limit + MAX_SPARE))
    return size


class PageFiller:
    """Gives the places of one page away.

    Args:
        refill: candidates.
        options: as resolved.
        categories: of a row.
        vectors: item vectors [n, d], None without a version.
        seed: of the exploration.
    """

    def __init__(
        self,
        refill: Refill,
        options: RankingOptions,
        *,
        categories: Callable[[int], Iterable[str]],
        vectors: NDArray[np.float32] | None,
        seed: int,
    ) -> None:
        self._refill = refill
        self._options = options
        self._vectors = vectors
        self._dice = Dice(seed, options.limit) if options.explore else None
        self._caps = Caps(options, categories) if has_caps(options) else None
        self._explored = max(options.explore_pool, options.limit)
        self._placed: list[Placed] = []
        self._is_dry = False
        self._fetch()

    def fill(self, pins: Sequence[tuple[int, int]], *, offset: int) -> list[Placed]:
        """The page after `offset` ranks; pins are (rank, row) by rank, and close up where a list is too short."""
        waiting = list(reversed(pins))
        for place in range(self._options.limit):
            is_due = bool(waiting) and waiting[-1][0] <= offset + place + 1
            one = None if is_due else self._choose(place)
            if one is None:
                if not waiting:
                    break
                one = Placed(waiting.pop()[1], 1.0, is_pinned=True)
            self._note(one)
        return self._placed

    def _fetch(self) -> None:
        rows = [one.row for one in self._placed]
        full = frozenset(self._caps.full) if self._caps else frozenset[str]()
        self._pool = self._refill(full, rows)
        self._is_dry = not len(self._pool.rows)
        self._alive = np.ones(len(self._pool.rows), bool)
        self._members = self._caps.members(self._pool.rows.tolist()) if self._caps else {}
        weight = self._options.diversity
        self._diversity = Diversity(self._pool, self._vectors, weight, rows) if weight else None

    def _remaining(self) -> NDArray[np.intp]:
        """Places in the pool that may come next: those of the lowest tier that has any."""
        remaining = np.flatnonzero(self._alive)
        if not len(remaining) and not self._is_dry:
            self._fetch()
            remaining = np.flatnonzero(self._alive)
        tiers = self._pool.tier[remaining]
        return remaining[tiers == tiers[0]] if len(remaining) else remaining

    def _choose(self, place: int) -> Placed | None:
        remaining = self._remaining()
        if not len(remaining):
            return None
        best = self._diversity.best(remaining) if self._diversity else int(remaining[0])
        chosen, propensity = self._explore(place, best, remaining) if self._dice else (best, 1.0)
        return Placed(int(self._pool.rows[chosen]), propensity, is_pinned=False)

    def _explore(self, place: int, best: int, remaining: NDArray[np.intp]) -> tuple[int, float]:
        """The best, or with the probability of the option any of those that remain of the best N."""
        probability = self._options.explore
        among = remaining[remaining < self._explored]
        if self._dice is None or not len(among):
            return best, 1.0
        chosen = best
        if self._dice.says_explore(place, probability):
            chosen = int(among[self._dice.pick(place, len(among))])
        by_chance = probability / len(among) if chosen < self._explored else 0.0
        return chosen, by_chance + (1 - probability if chosen == best else 0.0)

    def _note(self, one: Placed) -> None:
        self._placed.append(one)
        self._alive[self._pool.rows == one.row] = False
        if self._diversity:
            self._diversity.note(one.row)
        for name in self._caps.note(one.row) if self._caps else ():
            self._alive[self._members.get(name, [])] = False
