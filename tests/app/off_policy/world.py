"""A world whose click probabilities are known: what a policy is worth there can be computed exactly."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.off_policy.places import place_probabilities
from app.off_policy.slates import Order, Slate, build_slate

ITEMS = [f"i{n}" for n in range(12)]
PLACES = 4
EXAMINED = np.array([1.0, 0.7, 0.5, 0.4])
"""Probability that a place is looked at."""


@dataclass
class World:
    """Users like some items more; both versions know that with noise of their own.

    Attributes:
        rate: of exploration.
        quality: click probability, if looked at, of each item for each of some kinds of users [kinds, items].
        served: scores of the version that serves [kinds, items].
        candidate: scores of the version in question.
    """

    rate: float
    quality: NDArray[np.float64]
    served: NDArray[np.float64]
    candidate: NDArray[np.float64]

    @classmethod
    def make(cls, *, rate: float = 0.5, served_noise: float = 0.2, candidate_noise: float = 0.1) -> "World":
        """Six kinds of users; a version with less noise is better."""
        rng = np.random.default_rng(7)
        quality = rng.uniform(0.02, 0.6, (6, len(ITEMS)))
        noisy = [quality + noise * rng.standard_normal(quality.shape) for noise in (served_noise, candidate_noise)]
        return cls(rate, quality, *noisy)

    def value(self, scores: NDArray[np.float64]) -> float:
        """Expected clicks an answer, exactly: kinds are equally common."""
        table = place_probabilities(self.rate, len(ITEMS), PLACES)
        by_kind = [
            (table * EXAMINED[:, None] * quality[np.argsort(-own, kind="stable")][None, :]).sum()
            for quality, own in zip(self.quality, scores, strict=True)
        ]
        return float(np.mean(by_kind))

    @cached_property
    def orders(self) -> list[tuple[Order, Order]]:
        """Of either version, for each kind of users."""
        return [(_order(one), _order(other)) for one, other in zip(self.served, self.candidate, strict=True)]

    def log(self, users: int, seed: int, *, answers: int = 2) -> list[Slate]:
        """What the served version did for so many users, seen by the candidate; some users click more than others."""
        rng = np.random.default_rng(seed)
        slates = []
        for user in range(users):
            kind, eagerness = int(rng.integers(len(self.quality))), float(rng.uniform(0.5, 1.5))
            slates += [self._answer(rng, f"u{user}", kind, eagerness) for _ in range(answers)]
        return slates

    def _answer(self, rng: np.random.Generator, unit: str, kind: int, eagerness: float) -> Slate:
        served, candidate = self.orders[kind]
        left, shown = list(served.item_ids), []
        for place in range(PLACES):
            item_id = left.pop(int(rng.integers(len(left))) if rng.random() < self.rate else 0)
            probability = min(1.0, EXAMINED[place] * eagerness * self.quality[kind, ITEMS.index(item_id)])
            shown.append((item_id, bool(rng.random() < probability)))
        return build_slate(unit, shown, rate=self.rate, served=served, candidate=candidate, popularity={})


def _order(scores: NDArray[np.float64]) -> Order:
    ranks = np.argsort(-scores, kind="stable")
    return Order([ITEMS[rank] for rank in ranks], scores[ranks])
