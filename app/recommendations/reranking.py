"""Fills a page place by place where order alone does not decide: pins, category caps, diversity and exploration."""

from collections.abc import Callable, Iterable, Sequence, Set
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
MAX_SPARE = 250
"""and among so many more than the limit at most: diversity compares all of them with each other."""
DIVERSE_POOLS = 3
"""Where caps use up so many pools, the rest of a page goes by order alone."""

Refill = Callable[[Set[str], bool], Pool]
"""The next candidates, more of them if that is said, without those that came before and those of full categories."""


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
        self._explored = max(options.explore_pool, options.limit) if options.explore else 0
        self._placed: list[Placed] = []
        self._pools = 0

    def fill(self, pins: Sequence[tuple[int, int]], *, offset: int) -> list[Placed]:
        """The page after `offset` ranks; pins are (rank, row) by rank, and close up where a list is too short."""
        waiting = list(reversed(pins))
        if self._caps:
            # What is pinned to this page has its share of the caps before anything else does.
            due = [row for rank, row in pins if rank <= offset + self._options.limit]
            self._caps.note(due[: self._options.limit])
        self._fetch()
        for place in range(self._options.limit):
            is_due = bool(waiting) and waiting[-1][0] <= offset + place + 1
            one = None if is_due else self._choose(place)
            if one is None:
                if not waiting:
                    break
                one = Placed(waiting.pop()[1], 1.0, is_pinned=True)
                if self._diversity:
                    self._diversity.note_row(one.row)
            self._placed.append(one)
        return self._placed

    def _fetch(self) -> None:
        weight = self._options.diversity if self._pools < DIVERSE_POOLS else 0.0
        self._pool = self._refill(self._caps.full if self._caps else frozenset(), self._pools > 0 and not weight)
        self._pools += 1
        self._rows = self._pool.rows.tolist()
        self._is_free = bytearray(b"\1" * len(self._rows))
        self._alive = np.frombuffer(self._is_free, bool)
        self._head = 0
        above = [one.row for one in self._placed]
        self._diversity = Diversity(self._pool, self._vectors, weight, above) if weight else None
        # Only where more than the first one counts must be known beforehand which are full.
        self._window = len(self._rows) if self._diversity else self._explored
        self._members = self._caps.members(self._rows[: self._window]) if self._caps else {}

    def _first(self) -> int | None:
        """The first place of the pool that may come next; those before it never may again."""
        rows, is_free = self._rows, self._is_free
        may_stand = self._caps.allow if self._caps else None
        for place in range(self._head, len(rows)):
            if is_free[place] and (may_stand is None or place < self._window or may_stand(rows[place])):
                self._head = place
                return place
        self._head = len(rows)
        return None

    def _choose(self, place: int) -> Placed | None:
        first = self._first()
        while first is None and self._rows:
            self._fetch()
            first = self._first()
        if first is None:
            return None
        best = first
        if self._diversity:
            # Those that were shown lately come after all others, whatever they are like.
            best = self._diversity.best(first, int(np.searchsorted(self._pool.tier, self._pool.tier[first], "right")))
        chosen, propensity = self._explore(place, best, first) if self._dice else (best, 1.0)
        self._give(chosen)
        return Placed(self._rows[chosen], propensity, is_pinned=False)

    def _explore(self, place: int, best: int, first: int) -> tuple[int, float]:
        """The best, or with the probability of the option any of those that remain of the best N."""
        probability = self._options.explore
        among = np.flatnonzero(self._alive[: self._explored])
        among = among[self._pool.tier[among] == self._pool.tier[first]]
        if self._dice is None or not len(among):
            return best, 1.0
        chosen = best
        if self._dice.says_explore(place, probability):
            chosen = int(among[self._dice.pick(place, len(among))])
        by_chance = probability / len(among) if chosen < self._explored else 0.0
        return chosen, by_chance + (1 - probability if chosen == best else 0.0)

    def _give(self, place: int) -> None:
        """A place of the pool is no candidate any more, nor are those whose categories are full with it."""
        dead = [place]
        for name in self._caps.note([self._rows[place]]) if self._caps else ():
            dead += self._members.get(name, ())
        self._alive[dead] = False
        if self._diversity:
            self._diversity.leave_out(dead)
            self._diversity.note(place)
