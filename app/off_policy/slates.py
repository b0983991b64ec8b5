"""What an estimate is made of: recorded answers, and how much more often the candidate would show the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.off_policy.places import place_probabilities

Floats = NDArray[np.float64]
FEATURES = 5


@dataclass(frozen=True)
class Order:
    """The candidates of one version for one answer, best first, with their scores."""

    item_ids: Sequence[str]
    scores: Floats

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Places in the order, from 0."""
        return {item_id: rank for rank, item_id in enumerate(self.item_ids)}

    @cached_property
    def standardised(self) -> Floats:
        """Scores less their mean over their deviation; all 0 where they do not differ."""
        spread = float(self.scores.std()) if len(self.scores) else 0.0
        return (self.scores - self.scores.mean()) / spread if spread > 0 else np.zeros(len(self.scores))


@dataclass(frozen=True)
class Slate:
    """One answer, in the eyes of the candidate.

    Attributes:
        unit: the user, or the answer itself for a session.
        rewards: whether the item in each place was a success [k].
        weights: probability of the item in its place under the candidate over that under the version that served [k].
        unsupported: probability that the candidate shows an item that was no candidate of the version that served,
            as a mean over the places.
        shown: features of the shown items [k, FEATURES].
        choices: features of the candidate's candidates [n, FEATURES].
        target: probability of each of them in each place [k', n].
    """

    unit: str
    rewards: Floats
    weights: Floats
    unsupported: float
    shown: Floats
    choices: Floats
    target: Floats


def build_slate(
    unit: str,
    shown: Sequence[tuple[str, bool]],
    *,
    rate: float,
    served: Order,
    candidate: Order,
    popularity: Mapping[str, float],
) -> Slate:
    """Compare an answer's items with what the candidate would have shown under the same rate of exploration.

    Args:
        unit: whose answer.
        shown: items by place, and whether each was a success; all are candidates of `served`.
        rate: of exploration, above 0.
        served: candidates of the version that served.
        candidate: candidates of the version in question.
        popularity: of an item, any measure.
    """
    item_ids = [item_id for item_id, _ in shown]
    logging = place_probabilities(rate, len(served.item_ids), len(shown))
    target = place_probabilities(rate, len(candidate.item_ids), min(len(shown), len(candidate.item_ids)))
    weights = np.zeros(len(shown))
    for place, item_id in enumerate(item_ids):
        if item_id in candidate.ranks and place < len(target):
            weights[place] = target[place, candidate.ranks[item_id]] / logging[place, served.ranks[item_id]]
    foreign = np.array([item_id not in served.ranks for item_id in candidate.item_ids], bool)
    features = _Features(served, candidate, popularity)
    return Slate(
        unit=unit,
        rewards=np.array([reward for _, reward in shown], float),
        weights=weights,
        unsupported=float(target[:, foreign].sum() / len(target)) if len(target) else 1.0,
        shown=features.of(item_ids),
        choices=features.of(candidate.item_ids),
        target=target,
    )


class _Features:
    """What a reward model may know of an item: rank and standardised score under both versions, and popularity."""

    def __init__(self, served: Order, candidate: Order, popularity: Mapping[str, float]) -> None:
        self._popularity = popularity
        self._orders = (served, candidate)

    def of(self, item_ids: Sequence[str]) -> Floats:
        """Features [n, FEATURES]; an item that is no candidate comes after all that are."""
        features = np.empty((len(item_ids), FEATURES))
        for column, order in zip((0, 2), self._orders, strict=True):
            places = np.array([order.ranks.get(item_id, len(order.ranks)) for item_id in item_ids], int)
            features[:, column] = np.log1p(places)
            features[:, column + 1] = np.append(order.standardised, order.standardised.min(initial=0.0))[places]
        features[:, 4] = np.log1p([self._popularity.get(item_id, 0.0) for item_id in item_ids])
        return features
