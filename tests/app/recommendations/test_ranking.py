import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.recommendations.ranking import top_k


def slow_top_k(
    user: NDArray[np.float32], vectors: NDArray[np.float32], k: int, allowed: NDArray[np.bool_], excluded: list[int]
) -> list[tuple[int, float]]:
    """Sort everything by (-score, row)."""
    scored = [
        (row, float(vectors[row] @ user)) for row in range(len(vectors)) if allowed[row] and row not in set(excluded)
    ]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_equals_sorting_everything(data: st.DataObject) -> None:
    n, k = data.draw(st.integers(0, 40)), data.draw(st.integers(1, 50))
    # Small whole numbers: inner products are exact and ties are frequent.
    cells = st.integers(-2, 2)
    vectors = np.array(data.draw(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=n, max_size=n)), np.float32)
    vectors = vectors.reshape(n, 2)
    user = np.array(data.draw(st.lists(cells, min_size=2, max_size=2)), np.float32)
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    excluded = data.draw(st.lists(st.integers(0, n - 1), max_size=5)) if n else []
    rows, scores = top_k(user, vectors, k=k, allowed=allowed, excluded=excluded)
    assert list(zip(rows.tolist(), scores.tolist(), strict=True)) == slow_top_k(user, vectors, k, allowed, excluded)


@pytest.mark.parametrize("k", [1, 3, 100])
def test_among_equals_the_lower_row_comes_first(k: int) -> None:
    vectors = np.ones((1_000, 4), np.float32)
    allowed = np.ones(1_000, bool)
    allowed[:10] = False
    rows, _ = top_k(np.ones(4, np.float32), vectors, k=k, allowed=allowed, excluded=[11])
    assert rows.tolist() == [10, *range(12, 12 + k)][:k]


def test_the_arguments_are_left_alone() -> None:
    vectors, allowed = np.eye(3, dtype=np.float32), np.array([True, False, True])
    user = np.arange(3, dtype=np.float32)
    top_k(user, vectors, k=2, allowed=allowed, excluded=[2])
    np.testing.assert_array_equal(vectors, np.eye(3))
    np.testing.assert_array_equal(allowed, [True, False, True])
