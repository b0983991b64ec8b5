"""Likeness: cosines, standardised mixes, and the order of equals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from app.recommendations.similar import cosines, most_alike, standardised

FLOATS = st.floats(-10, 10, width=32)


def vectors(n: int, d: int = 3) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, (n, d), elements=FLOATS)


@given(values=vectors(5), query=arrays(np.float32, 3, elements=FLOATS))
def test_cosines_are_those_of_each_pair(values: np.ndarray, query: np.ndarray) -> None:
    found = cosines(values, query)
    for row, value in enumerate(values.astype(np.float64)):
        lengths = np.linalg.norm(value) * np.linalg.norm(query.astype(np.float64))
        expected = value @ query / lengths if lengths > 1e-6 else found[row]
        assert found[row] == pytest.approx(expected, abs=1e-4)


def test_a_zero_vector_is_like_nothing() -> None:
    values = np.array([[0, 0], [3, 4]], np.float32)
    assert cosines(values, np.array([3, 4], np.float32)).tolist() == pytest.approx([0, 1])
    assert cosines(values, np.zeros(2, np.float32)).tolist() == [0, 0]


def test_scores_are_standardised_over_the_allowed() -> None:
    scores = np.array([1, 2, 3, 100], np.float32)
    allowed = np.array([True, True, True, False])
    deviation = np.sqrt(2 / 3)
    assert standardised(scores, allowed)[:3].tolist() == pytest.approx([-1 / deviation, 0, 1 / deviation], rel=1e-6)


def test_scores_that_do_not_differ_say_nothing() -> None:
    scores = np.full(3, 0.1, np.float32)
    assert standardised(scores, np.ones(3, bool)).tolist() == [0, 0, 0]
    assert standardised(scores, np.zeros(3, bool)).tolist() == [0, 0, 0]


def test_equals_come_in_the_order_of_their_ties() -> None:
    likeness = np.array([0.5, 0.9, 0.5, 0.5], np.float32)
    found = most_alike(likeness, np.array([True, False, True, True]), limit=2, ties=np.array([30, 1, 10, 20]))
    assert (found.rows, found.scores) == ([2, 3], [0.5, 0.5])


def test_nothing_is_like_anything_in_an_empty_catalogue() -> None:
    none = np.zeros(0, np.float32)
    assert most_alike(none, none.astype(bool), limit=3, ties=np.zeros(0, np.int64)).rows == []


@given(
    likeness=arrays(np.float32, 6, elements=FLOATS),
    personal=arrays(np.float32, 6, elements=FLOATS),
    allowed=arrays(bool, 6),
    weight=st.floats(0, 1),
    limit=st.integers(1, 8),
)
def test_the_mix_is_that_of_a_slow_reference(
    likeness: np.ndarray, personal: np.ndarray, allowed: np.ndarray, weight: float, limit: int
) -> None:
    found = most_alike(likeness, allowed, limit=limit, ties=np.arange(6), personal=personal, weight=weight)
    parts = standardised(likeness, allowed), standardised(personal, allowed)
    merit = (1 - weight) * parts[0] + weight * parts[1] if weight > 0 else likeness
    merit = merit.astype(np.float32)
    expected = sorted((row for row in range(6) if allowed[row]), key=lambda row: (-merit[row], row))[:limit]
    assert found.rows == expected
    assert found.scores == pytest.approx([float(merit[row]) for row in expected])


@pytest.mark.parametrize(("weight", "first"), [(0.0, 0), (1.0, 2)])
def test_the_weight_goes_from_likeness_to_the_person(weight: float, first: int) -> None:
    likeness, personal = np.array([3, 2, 1], np.float32), np.array([1, 2, 3], np.float32)
    found = most_alike(likeness, np.ones(3, bool), limit=3, ties=np.arange(3), personal=personal, weight=weight)
    assert found.rows[0] == first
