import numpy as np
import pytest
from numpy.typing import NDArray

from app.experiments.ratio import Moments, compare
from app.experiments.statistics import Interval

Draws = tuple[NDArray[np.float64], NDArray[np.float64]]


def moments(x: NDArray[np.float64], y: NDArray[np.float64]) -> Moments:
    return Moments(len(x), x.sum(), y.sum(), (x * x).sum(), (x * y).sum(), (y * y).sum())


def users(rng: np.random.Generator, n: int, rate: float) -> Draws:
    """Users differ in how much they see and, much more, in how often they click."""
    x = 10.0 * rng.integers(1, 8, n)
    return x, rng.binomial(x.astype(int), rng.beta(2, 2 / rate - 2, n)).astype(float)


def test_the_error_is_that_of_a_bootstrap_over_users() -> None:
    rng = np.random.default_rng(0)
    x, y = users(rng, 400, 0.1)
    picks = rng.integers(0, 400, (4_000, 400))
    resampled = y[picks].sum(1) / x[picks].sum(1)
    assert moments(x, y).error == pytest.approx(resampled.std(), rel=0.05)


def test_users_who_click_more_than_others_widen_the_interval() -> None:
    x, y = users(np.random.default_rng(1), 400, 0.1)
    ratio = y.sum() / x.sum()
    independent = (ratio * (1 - ratio) / x.sum()) ** 0.5
    assert (moments(x, y).error or 0) > 1.5 * independent


def test_with_one_trial_a_user_it_is_the_binomial_error() -> None:
    # var = p (1 - p) / (n - 1): 3 of 12.
    assert Moments.of_shares(12, 3).error == pytest.approx((0.25 * 0.75 / 11) ** 0.5)


def test_intervals_and_p_values_hold_what_they_promise() -> None:
    """An A/A test 1,000 times: the interval misses 0 in 5% of them (standard error 0.7%)."""
    rng = np.random.default_rng(2)
    found = [compare(moments(*users(rng, 200, 0.1)), moments(*users(rng, 200, 0.1))) for _ in range(1_000)]
    misses = np.mean([one is not None and not one.interval.low <= 0 <= one.interval.high for one in found])
    assert misses == pytest.approx(0.05, abs=0.025)
    assert np.mean([one is not None and one.p_value < 0.05 for one in found]) == misses


def test_an_arms_interval_covers_the_rate() -> None:
    rng = np.random.default_rng(3)
    found = [moments(*users(rng, 200, 0.1)).interval() for _ in range(1_000)]
    assert np.mean([one.low <= 0.1 <= one.high for one in found]) == pytest.approx(0.95, abs=0.025)


def test_a_difference_is_also_told_as_a_share() -> None:
    found = compare(Moments.of_shares(100, 30), Moments.of_shares(100, 20))
    assert found is not None
    assert found.value == pytest.approx(0.1)
    assert found.relative == pytest.approx(0.5)
    # Both errors by hand: sqrt(0.3 * 0.7 / 99), sqrt(0.2 * 0.8 / 99).
    error = (0.3 * 0.7 / 99 + 0.2 * 0.8 / 99) ** 0.5
    assert found.interval.high == pytest.approx(0.1 + 1.959964 * error, abs=1e-6)


def test_too_few_users_say_nothing() -> None:
    assert Moments.of_shares(0, 0).ratio is None
    assert Moments.of_shares(0, 0).interval() == Interval(0.0, 1.0)
    assert compare(Moments.of_shares(1, 1), Moments.of_shares(50, 3)) is None
    assert compare(Moments.of_shares(50, 3), Moments.of_shares(0, 0)) is None


def test_no_success_yet_is_not_certainty() -> None:
    found = compare(Moments.of_shares(20, 0), Moments.of_shares(20, 0))
    assert found is not None
    assert found.value == 0.0
    assert found.p_value == 1.0
    assert found.relative is None
    # Wilson's limit for 0 of 20 is 0.161: the arms may well be some per cent apart.
    assert found.interval.high > 0.1
