from itertools import product

import numpy as np
import pytest

from app.off_policy.places import conditional_probabilities, place_probabilities
from app.recommendations.exploration import Dice


def enumerated(rate: float, candidates: int, places: int) -> np.ndarray:
    """Every list with its probability: the product of the probabilities of its items given those above."""
    table = np.zeros((places, candidates))
    for ranks in product(range(candidates), repeat=places):
        if len(set(ranks)) < places:
            continue
        probability, left = 1.0, list(range(candidates))
        for rank in ranks:
            probability *= rate / len(left) + (1 - rate if rank == left[0] else 0.0)
            left.remove(rank)
        for place, rank in enumerate(ranks):
            table[place, rank] += probability
    return table


@pytest.mark.parametrize(
    ("rate", "candidates", "places"),
    [(0.1, 5, 4), (0.5, 6, 3), (1.0, 4, 4), (0.0, 5, 3), (0.3, 1, 1), (0.7, 5, 5), (0.2, 7, 4)],
)
def test_it_is_the_sum_over_all_lists(rate: float, candidates: int, places: int) -> None:
    found = place_probabilities(rate, candidates, places)
    assert found == pytest.approx(enumerated(rate, candidates, places), abs=1e-12)


def test_every_place_holds_something_and_no_candidate_more_than_once() -> None:
    table = place_probabilities(0.2, 100, 50)
    assert table.sum(1) == pytest.approx(np.ones(50))
    assert (table.sum(0) <= 1 + 1e-12).all()
    assert (table > 0).all()


def test_without_exploration_each_rank_has_its_place() -> None:
    assert (place_probabilities(0.0, 6, 4) == np.eye(4, 6)).all()


def test_it_is_what_serving_does_place_by_place() -> None:
    """Against serving's own dice, drawn 20,000 times; four standard errors."""
    rate, candidates, places, draws = 0.4, 8, 4, 20_000
    counts = np.zeros((places, candidates))
    for seed in range(draws):
        dice, left = Dice(seed, places), list(range(candidates))
        for place in range(places):
            chosen = left[dice.pick(place, len(left))] if dice.says_explore(place, rate) else left[0]
            counts[place, chosen] += 1
            left.remove(chosen)
    expected = place_probabilities(rate, candidates, places)
    assert (np.abs(counts / draws - expected) < 4.5 * np.sqrt(expected * (1 - expected) / draws)).all()


def test_what_a_record_keeps_is_the_probability_given_the_items_above() -> None:
    # "c" by chance out of 4; then "a", the best left, out of 3; then "d" by chance out of 2.
    found = conditional_probabilities(["a", "b", "c", "d"], ["c", "a", "d"], 0.2)
    assert found is not None
    assert found == pytest.approx([0.2 / 4, 0.8 + 0.2 / 3, 0.2 / 2])
    assert conditional_probabilities(["a", "b"], ["q"], 0.2) is None
    assert conditional_probabilities(["a", "b"], ["a", "a"], 0.2) is None
