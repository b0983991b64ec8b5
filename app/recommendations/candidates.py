"""Candidates of a list in their order: by the scores of a version, or the trending and the latest items."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.recommendations.options import RankingOptions
from app.recommendations.search.refining import norms, rounding_error
from app.recommendations.shortlist import Shortlist, scores_of
from app.recommendations.view import Fallback, View

Rows = NDArray[np.intp]
Merit = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
FRESH_CANDIDATES = 1_000
"""Of so many of a fallback's candidates at least the newest come forward when freshness counts."""


def top_rows(merit: Merit, k: int, *, ties: NDArray[np.int64]) -> Rows:
    """The k rows of highest merit, best first; among equals the one of the lower tie comes first.

    Args:
        merit: of every row [n]; -inf for those that are no candidates.
        k: rows wanted, at least 1; fewer come back when there are fewer candidates.
        ties: all different [n].
    """
    candidates = np.flatnonzero(merit > -np.inf)
    if k < len(candidates):
        # Without those that are none: numpy's partition takes ten times as long where most values are equal.
        found = merit[candidates]
        # Every row that ties with the k-th stays, so that the lower ties among them win.
        candidates = candidates[found >= np.partition(found, -k)[-k]]
    best: Rows = candidates[np.lexsort((ties[candidates], -merit[candidates]))][:k]
    return best


def boosted(merit: Merit, published: NDArray[np.float64], options: RankingOptions, *, now: float) -> Merit:
    """Merits [c] plus the gain of fresh items: weight · σ · 2^(-age / half-life), σ the deviation of the merits."""
    if not len(merit):
        return merit
    ages = np.maximum(now - published, 0.0)
    gain: Merit = options.freshness_weight * float(np.std(merit)) * np.exp2(-ages / options.freshness_half_life_s)
    return merit + gain


FEW = 8
"""Of fewer than one in so many rows the vectors are gathered; more are read all together."""
LARGEST_POOL = 16
"""A pool grows up to one in so many rows: to look at them costs as much then as to find the next ones."""


@dataclass(frozen=True)
class Pool:
    """Candidates in their order.

    Attributes:
        rows: of the catalogue [c].
        merit: of each [c].
        tier: 0 for those that were not shown lately, from 1 on for the others, the longest ago first [c].
    """

    rows: Rows
    merit: Merit
    tier: NDArray[np.intp]


class Candidates(Protocol):
    """Gives the best of those that are allowed."""

    def best(self, allowed: Mask, count: int) -> tuple[Rows, Merit]:
        """The best rows among the allowed [n], at most `count`, best first, and their merits."""


class PersonalCandidates:
    """Every item with a vector, by inner product with the user's, and by freshness if that counts.

    Args:
        view: with a version.
        user: vector [d].
        allowed: rows that may stand in the list [n].
        options: freshness.
        now: seconds since 1970.
        shortlist: the best of all for this user, if they were found already; the result is the same without.
    """

    def __init__(
        self,
        view: View,
        user: NDArray[np.float32],
        allowed: Mask,
        options: RankingOptions,
        *,
        now: float,
        shortlist: Shortlist | None = None,
    ) -> None:
        assert view.version is not None
        self._vectors = view.version.vectors
        self._user = user
        self._ties = view.catalogue.pks
        self._shortlist = None if options.freshness_weight else shortlist
        self._boosted: Merit | None = None
        if options.freshness_weight:
            self._boosted = np.full(len(self._vectors), -np.inf)
            published = view.catalogue.published[allowed]
            merit = self._all_scores[allowed].astype(np.float64)
            self._boosted[allowed] = boosted(merit, published, options, now=now)

    @cached_property
    def _all_scores(self) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._vectors.values @ self._user
        return scores

    def best(self, allowed: Mask, count: int) -> tuple[Rows, Merit]:
        """The best rows among the allowed [n], at most `count`, best first, and their merits."""
        if self._boosted is not None:
            merit = np.where(allowed, self._boosted, -np.inf)
            rows = top_rows(merit, count, ties=self._ties)
            return rows, merit[rows]
        if self._shortlist is not None:
            found = self._shortlist.best(allowed, count)
            if found is not None:
                return found
        return self._best_of_all(allowed, count)

    def _best_of_all(self, allowed: Mask, count: int) -> tuple[Rows, Merit]:
        """By a look at every row; those near the last place are told apart by the same sums as everywhere."""
        rows = np.flatnonzero(allowed)
        if len(rows) > count:
            scores = self._scores_among(allowed, rows)
            last = float(np.partition(scores, -count)[-count])
            error = rounding_error(len(self._user)) * self._vectors.longest * float(norms(self._user))
            rows = rows[scores >= last - 2 * error]
        exact = scores_of(self._vectors, rows, self._user)
        order = np.lexsort((self._ties[rows], -exact))[:count]
        return rows[order], exact[order]

    def _scores_among(self, allowed: Mask, rows: Rows) -> NDArray[np.float32]:
        """Scores of the allowed rows [c]: where they are few, of these alone."""
        if len(rows) < len(allowed) // FEW:
            return scores_of(self._vectors, rows, self._user)
        return self._all_scores[rows]

    def scores_in(self, pool: Pool) -> list[float | None]:
        """Inner products of a pool of these candidates."""
        return self.scores_of(pool.rows.tolist()) if self._boosted is not None else pool.merit.tolist()

    def scores_of(self, rows: Sequence[int]) -> list[float | None]:
        """Inner products of these rows; None for a pinned one without a vector."""
        chosen = np.asarray(rows, np.intp)
        scores = scores_of(self._vectors, chosen, self._user).tolist()
        present = self._vectors.present[chosen].tolist()
        return [score if is_present else None for score, is_present in zip(scores, present, strict=True)]


class FallbackCandidates:
    """Trending items, then the latest, then all others from the newest on; merits are places, counted down from 0.

    Attributes:
        name: what leads the list.
        consulted: rows that were considered, in their order before freshness and rotation.
    """

    def __init__(self, view: View, allowed: Mask, options: RankingOptions, *, now: float) -> None:
        self._view = view
        self._options = options
        self._now = now
        self._trending = np.asarray(view.trending, np.intp)
        self._latest = np.asarray(view.latest, np.intp)
        self.name: Fallback = "trending" if allowed[self._trending].any() else "latest"
        self.consulted: list[int] = []

    def best(self, allowed: Mask, count: int) -> tuple[Rows, Merit]:
        """The best rows among the allowed [n], at most `count`, best first, and their merits."""
        is_fresh_first = self._options.freshness_weight > 0
        rows = self._first(allowed, max(count, FRESH_CANDIDATES) if is_fresh_first else count)
        self.consulted.extend(rows.tolist())
        merit: Merit = -np.arange(len(rows), dtype=np.float64)
        if is_fresh_first:
            merit = boosted(merit, self._view.catalogue.published[rows], self._options, now=self._now)
            order = np.argsort(-merit, kind="stable")
            rows, merit = rows[order], merit[order]
        return rows[:count], merit[:count]

    def _first(self, allowed: Mask, count: int) -> Rows:
        trending = self._trending[allowed[self._trending]]
        if len(trending) >= count:
            return trending[:count]
        rest = allowed.copy()
        rest[trending] = False
        latest = self._latest[rest[self._latest]]
        rest[latest] = False
        found = [trending, latest]
        if len(trending) + len(latest) < count:
            newest = self._view.catalogue.by_recency()
            found.append(newest[rest[newest]])
        return np.concatenate(found)[:count]


def pool_of(source: Candidates, allowed: Mask, count: int, *, rotated: Mapping[int, float]) -> Pool:
    """The best of the allowed rows, those shown lately (row to seconds since 1970) after all others.

    Args:
        source: gives rows by merit.
        allowed: rows that may stand in the list [n].
        count: most rows wanted.
        rotated: rows that were shown lately.
    """
    sunk = [row for row in rotated if allowed[row]]
    if not sunk:
        rows, merit = source.best(allowed, count)
        return Pool(rows, merit, np.zeros(len(rows), np.intp))
    fresh, old = allowed.copy(), np.zeros(len(allowed), bool)
    fresh[sunk], old[sunk] = False, True
    rows, merit = source.best(fresh, count)
    if len(rows) == count:
        return Pool(rows, merit, np.zeros(len(rows), np.intp))
    old_rows, old_merit, tier = _by_age(*source.best(old, len(sunk)), rotated)
    return Pool(
        np.concatenate([rows, old_rows])[:count],
        np.concatenate([merit, old_merit])[:count],
        np.concatenate([np.zeros(len(rows), np.intp), tier])[:count],
    )


def _by_age(rows: Rows, merit: Merit, rotated: Mapping[int, float]) -> tuple[Rows, Merit, NDArray[np.intp]]:
    times = np.array([rotated[row] for row in rows.tolist()])
    _, tier = np.unique(times, return_inverse=True)
    order = np.argsort(tier, kind="stable")
    return rows[order], merit[order], tier[order].astype(np.intp) + 1


class Supply:
    """Gives the candidates of one page away pool by pool, each of them once.

    Args:
        source: gives rows by merit.
        allowed: rows that may stand in the list [n].
        size: of the first pool.
        in_categories: which rows have at least one of some categories [n].
        rotated: rows that were shown lately.
    """

    def __init__(
        self,
        source: Candidates,
        allowed: Mask,
        *,
        size: int,
        in_categories: Callable[[Iterable[str]], Mask],
        rotated: Mapping[int, float],
    ) -> None:
        self._source = source
        self._left = allowed.copy()
        self._size = size
        self._in_categories = in_categories
        self._rotated = rotated
        self._full: set[str] = set()

    def take(self, full: Set[str], may_grow: bool) -> Pool:
        """The next candidates, up to twice as many as the last time; those of full categories are gone for good."""
        if new := full - self._full:
            self._left &= ~self._in_categories(sorted(new))
            self._full |= new
        if may_grow:
            self._size = max(self._size, min(2 * self._size, len(self._left) // LARGEST_POOL))
        pool = pool_of(self._source, self._left, self._size, rotated=self._rotated)
        self._left[pool.rows] = False
        return pool
