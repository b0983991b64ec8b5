"""How likely an exploring list shows each candidate in each place, whatever chance put above it."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAX_PLACES = 50
"""Places that an estimate looks at: the cost grows with their third power."""


@lru_cache(maxsize=64)
def place_probabilities(rate: float, candidates: int, places: int) -> NDArray[np.float64]:
    """Marginal probabilities [places, candidates] that place k holds the candidate of rank r.

    The list is filled as serving fills it: each place goes to the best candidate left, or with probability `rate` to
    any of those left, each as likely. What a record keeps is the probability given the items above; an estimate needs
    the one before anything is drawn (the item-position model of Li et al. 2018).

    Candidates below the best one left have been touched by chance only, so which of them are gone is uniform, and the
    place of the best one left is all there is to a state: with g the best left and c gone below it, of N candidates,
    place g + c goes to g with probability 1 - rate + rate / m (m = N - g - c + 1 left), and to any other below with
    rate / m each.

    Args:
        rate: of exploration, in [0, 1].
        candidates: N.
        places: at most N.
    """
    state = np.zeros(places + 2)
    state[1] = 1.0
    table = np.zeros((places, candidates))
    for k in range(1, places + 1):
        by_chance = rate / (candidates - k + 1)
        following = np.zeros(places + 2)
        for g in range(1, k + 1):
            if state[g] > 0:
                gone = k - g
                _give(table[k - 1], state[g], g, gone, rate=rate, by_chance=by_chance)
                _advance(following, state[g], g, gone, n=candidates, greedy=1 - rate + by_chance)
        state = following
    table.setflags(write=False)
    return table


def _give(row: NDArray[np.float64], weight: float, g: int, gone: int, *, rate: float, by_chance: float) -> None:
    """Add what each candidate has of a place in a state of probability `weight`."""
    row[g - 1] += weight * (1 - rate + by_chance)
    below = len(row) - g
    if below:
        row[g:] += weight * by_chance * (below - gone) / below


def _advance(following: NDArray[np.float64], weight: float, g: int, gone: int, *, n: int, greedy: float) -> None:
    """Move a state's probability on: chance takes one below, or the best goes and the next that is left is best."""
    following[g] += weight * (1 - greedy)
    moving, below, taken = weight * greedy, n - g, gone
    best = g + 1
    while best < len(following):
        is_gone = taken / below if below else 0.0
        following[best] += moving * (1 - is_gone)
        moving *= is_gone
        if moving <= 0:
            break
        best, below, taken = best + 1, below - 1, taken - 1


def conditional_probabilities(order: Sequence[str], shown: Sequence[str], rate: float) -> NDArray[np.float64] | None:
    """Probability of each shown item in its place given those above it [places]; None if one is no candidate."""
    left, found = dict.fromkeys(order), []
    for item_id in shown:
        if item_id not in left:
            return None
        best = next(iter(left))
        found.append(rate / len(left) + (1 - rate if item_id == best else 0.0))
        del left[item_id]
    return np.array(found)
