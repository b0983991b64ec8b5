"""The order of an answer."""

import numpy as np
import pytest

from app.recommendations.search.refining import Shortlist, refined


@pytest.mark.parametrize("smallest", [[0.0, -1e-30], [-1e-30, 0.0]])
def test_a_negative_zero_ties_with_zero(smallest: list[float]) -> None:
    # The product of -1e-30 and 1e-30 is too small for fp32, and becomes a negative zero.
    values = np.array([[-1e30], *([value] for value in smallest), [2e30], [-3e30]], np.float32)
    found = Shortlist(np.array([[4, 2, -1, 1, 0, 3]]), np.full(1, -np.inf))
    answer = refined(values, np.ones(5, bool), np.full((1, 1), 1e-30, np.float32), found, 6)
    assert answer.rows.tolist() == [[3, 1, 2, 0, 4, -1]]
    assert np.allclose(answer.scores[0, :5], [2, 0, 0, -1, -3])
    assert np.isneginf(answer.scores[0, 5])
