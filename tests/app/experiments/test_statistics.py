import math

import numpy as np
import pytest
from scipy import stats

from app.experiments.statistics import Interval, chi_square_p_value, normal_p_value, sign_test_p_value, wilson


@pytest.mark.parametrize("z", [0.0, 0.5, -1.96, 3.3, 8.0])
def test_normal_p_values(z: float) -> None:
    assert normal_p_value(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-12)


@pytest.mark.parametrize("degrees", range(1, 12))
def test_chi_square_p_values(degrees: int) -> None:
    for statistic in (0.0, 0.01, 0.5, 3.0, 11.0, 80.0, 400.0):
        assert chi_square_p_value(statistic, degrees) == pytest.approx(stats.chi2.sf(statistic, degrees), rel=1e-9)


@pytest.mark.parametrize(
    ("wins", "losses"), [(0, 0), (0, 1), (3, 9), (50, 60), (7, 7), (1_000, 1_100), (500_000, 502_000)]
)
def test_sign_test_p_values(wins: int, losses: int) -> None:
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert sign_test_p_value(wins, losses) == pytest.approx(expected, rel=1e-6)
    assert sign_test_p_value(losses, wins) == sign_test_p_value(wins, losses)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 40), (700, 1_000)])
def test_wilson_intervals(successes: int, n: int) -> None:
    expected = stats.binomtest(successes, n).proportion_ci(method="wilson")
    found = wilson(successes / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_of_nothing_everything_is_possible() -> None:
    assert wilson(0.0, 0) == Interval(0.0, 1.0)


def test_wilson_intervals_hold_what_they_promise() -> None:
    # 4,000 samples of 50 trials: the standard error of the coverage is 0.0034, and Wilson's own error is below 0.02.
    shares = np.random.default_rng(0).binomial(50, 0.1, 4_000) / 50
    found = [wilson(float(share), 50) for share in shares]
    assert np.mean([one.low <= 0.1 <= one.high for one in found]) == pytest.approx(0.95, abs=0.03)
    assert math.isclose(Interval.around(0.0, 1.0).high, 1.959963984540054)
