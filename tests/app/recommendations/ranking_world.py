"""A small catalogue and a slow, explicit reference of every ranking option, for the tests of `rank`."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.options import RankingOptions
from app.recommendations.vectors import ItemVectors, VectorUpdate
from app.recommendations.view import View
from app.stores.sequence_state import SequenceEvent, SequenceState

NOW = 1_000_000.0
CATEGORIES = ("sea", "sky", "land")


@dataclass(frozen=True)
class Thing:
    """An item of the small catalogue."""

    item_id: str
    pk: int
    vector: tuple[int, ...] | None
    categories: tuple[str, ...] = ()
    age_s: float | None = None
    """Since publication; negative for the future, None without a date."""
    is_available: bool = True


@dataclass(frozen=True)
class MeanVersion:
    """Satisfies `Scorer`: a user is the sum of the newest items' vectors, so whole numbers stay whole."""

    vectors: ItemVectors
    max_length: int = 3

    def encode_user(self, sequence: NDArray[np.float32]) -> NDArray[np.float32]:
        return sequence.sum(axis=0)


def view_of(things: Sequence[Thing], *, width: int = 3, has_version: bool = True, **pools: list[str]) -> View:
    catalogue = Catalogue()
    catalogue.apply(
        ItemUpdate(
            pk=thing.pk,
            item_id=thing.item_id,
            title=thing.item_id.upper(),
            available=thing.is_available,
            published_at=None if thing.age_s is None else datetime.fromtimestamp(NOW - thing.age_s, UTC),
            categories=thing.categories,
        )
        for thing in things
    )
    vectors = ItemVectors(width=width, modalities=("text",))
    vectors.extend(len(things))
    vectors.apply(
        (
            VectorUpdate(thing.item_id, np.array(thing.vector, np.float32), np.ones(1, np.float32))
            for thing in things
            if thing.vector is not None
        ),
        catalogue.row_of,
    )
    rows = {name: catalogue.rows(ids) for name, ids in pools.items()}
    return View(catalogue, MeanVersion(vectors) if has_version else None, **rows)


def past_of(*item_ids: str, type_: str = "view", at: float = NOW - 10) -> SequenceState:
    return SequenceState.of(
        SequenceEvent(number, item_id, int(at * 1_000_000), type_) for number, item_id in enumerate(item_ids, 1)
    )


def ids_of(view: View, rows: Sequence[int]) -> list[str]:
    return [view.catalogue.ids[row] for row in rows]


@dataclass
class Slow:
    """Ranks by plain Python, one item at a time, from the definitions alone."""

    things: Sequence[Thing]
    options: RankingOptions
    history: Sequence[str] = ()
    rotated: Mapping[str, float] | None = None
    before: Sequence[str] = ()
    offset: int = 0
    seed: int = 0
    pool_size: int = 10**9

    def __post_init__(self) -> None:
        self.by_id = {thing.item_id: thing for thing in self.things}
        known = [item for item in self.history if item in self.by_id and self.by_id[item].vector is not None]
        self.is_personal = bool(known)
        newest = [self.by_id[item].vector or () for item in known[-3:]]
        self.user = [sum(column) for column in zip(*newest, strict=True)]

    def may_be_shown(self, thing: Thing) -> bool:
        return thing.is_available and (thing.age_s is None or thing.age_s >= 0)

    def is_allowed(self, thing: Thing) -> bool:
        options = self.options
        return (
            self.may_be_shown(thing)
            and thing.vector is not None
            and (options.categories is None or bool(set(options.categories) & set(thing.categories)))
            and (options.include is None or thing.item_id in options.include)
            and thing.item_id not in options.exclude
            and not (options.exclude_seen and thing.item_id in self.history)
            and thing.item_id not in self.before
            and thing.item_id not in options.pinned
            and not any(options.category_caps.get(name) == 0 for name in thing.categories)
        )

    def score(self, thing: Thing) -> float:
        return float(sum(a * b for a, b in zip(self.user, thing.vector or (), strict=False)))

    def merits(self) -> dict[str, float]:
        allowed = [thing for thing in self.things if self.is_allowed(thing)]
        scores = [self.score(thing) for thing in allowed]
        weight, half_life_s = self.options.freshness_weight, self.options.freshness_half_life_s
        mean = sum(scores) / len(scores) if scores else 0.0
        sigma = math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores)) if scores else 0.0
        return {
            thing.item_id: score
            + (0.0 if thing.age_s is None else weight * sigma * 2 ** (-max(thing.age_s, 0) / half_life_s))
            for thing, score in zip(allowed, scores, strict=True)
        }

    def order(self) -> list[str]:
        merits, rotated = self.merits(), self.rotated or {}
        return sorted(merits, key=lambda item: (rotated.get(item, -math.inf), -merits[item], self.by_id[item].pk))

    def pins(self) -> list[tuple[int, str]]:
        return sorted(
            (rank, item)
            for item, rank in self.options.pinned.items()
            if item in self.by_id
            and self.may_be_shown(self.by_id[item])
            and item not in self.options.exclude
            and item not in self.before
        )

    def due(self) -> list[str]:
        """What is pinned to this page, which has its share of the caps before anything else."""
        limit = self.options.limit
        return [item for rank, item in self.pins() if rank <= self.offset + limit][:limit]

    def page(self) -> list[tuple[str, float]]:
        """Items with their propensities, place by place."""
        merits, order, pins = self.merits(), self.order()[: self.pool_size], self.pins()
        placed: list[tuple[str, float]] = []
        for place in range(self.options.limit):
            distribution = self.distribution([item for item, _ in placed], order, merits)
            if pins and (pins[0][0] <= self.offset + place + 1 or not distribution):
                placed.append((pins.pop(0)[1], 1.0))
            elif distribution:
                best, chances, explored = distribution
                chosen = self.draw(place, best, explored)
                placed.append((chosen, chances[chosen]))
            else:
                break
        return placed

    def distribution(
        self, above: list[str], order: list[str], merits: dict[str, float]
    ) -> tuple[str, dict[str, float], list[str]] | None:
        """The best of what remains, the chance of every item in this place, and what chance chooses among."""
        rotated = self.rotated or {}
        remaining = [item for item in order if item not in above and not self.is_capped(item, above)]
        if not remaining:
            return None
        tier = rotated.get(remaining[0], -math.inf)
        remaining = [item for item in remaining if rotated.get(item, -math.inf) == tier]
        best = max(remaining, key=lambda item: (self.marginal(item, above, order, merits), -order.index(item)))
        explore = self.options.explore
        reach = order[: max(self.options.explore_pool, self.options.limit)]
        explored = [item for item in remaining if item in reach]
        if not explore or not explored:
            return best, {best: 1.0}, []
        chances = {item: explore / len(explored) for item in explored}
        chances[best] = chances.get(best, 0.0) + 1 - explore
        return best, chances, explored

    def is_capped(self, item: str, above: list[str]) -> bool:
        options = self.options
        for name in self.by_id[item].categories:
            most = options.category_caps.get(name, options.category_cap)
            count = sum(name in self.by_id[other].categories for other in {*above, *self.due()})
            if most is not None and count >= most:
                return True
        return False

    def marginal(self, item: str, above: list[str], order: list[str], merits: dict[str, float]) -> float:
        weight = self.options.diversity
        if not weight:
            return -order.index(item)
        values = [merits[other] for other in order]
        low, high = min(values), max(values)
        relevance = (merits[item] - low) / (high - low) if high > low else 1.0
        likeness = max((cosine(self.by_id[item], self.by_id[other]) for other in above), default=0.0)
        return (1 - weight) * relevance - weight * likeness

    def draw(self, place: int, best: str, explored: list[str]) -> str:
        if not explored:
            return best
        stream = hashlib.shake_128(b"explore" + self.seed.to_bytes(16, "big")).digest(16 * self.options.limit)
        coin, pick = (
            int.from_bytes(stream[16 * place + start : 16 * place + start + 8], "big") / 2**64 for start in (0, 8)
        )
        return explored[int(pick * len(explored))] if coin < self.options.explore else best


def cosine(one: Thing, other: Thing) -> float:
    if one.vector is None or other.vector is None:
        return 0.0
    lengths = math.sqrt(sum(a * a for a in one.vector)) * math.sqrt(sum(b * b for b in other.vector))
    return sum(a * b for a, b in zip(one.vector, other.vector, strict=True)) / lengths if lengths else 0.0


def options(**fields: Any) -> RankingOptions:
    return RankingOptions(**fields)


def view_of_vectors(values: NDArray[np.float32], *, ties: Sequence[int] | None = None) -> View:
    """Items with these vectors [n, d]; `ties` are their numbers in the database [n], by default their rows."""
    pks = range(len(values)) if ties is None else [int(tie) for tie in ties]
    catalogue = Catalogue()
    catalogue.apply(ItemUpdate(pk, f"i{row}") for row, pk in enumerate(pks))
    vectors = ItemVectors(width=values.shape[1], modalities=())
    vectors.apply((VectorUpdate(f"i{row}", value, None) for row, value in enumerate(values)), catalogue.row_of)
    return View(catalogue, MeanVersion(vectors))
