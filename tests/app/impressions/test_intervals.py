import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.impressions.intervals import Z_95, wilson


def test_nothing_tried() -> None:
    assert wilson(0, 0).value is None


def test_a_known_interval() -> None:
    # 10 of 100: centre (0.1 + 3.8415 / 200) / 1.038415 = 0.11480, half 1.96 sqrt(0.0009 + 0.000096) / 1.0384 = 0.05957.
    rate = wilson(10, 100)
    assert rate.value == 0.1
    assert (rate.low, rate.high) == (pytest.approx(0.05523, abs=1e-4), pytest.approx(0.17437, abs=1e-4))


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_ends_are_where_the_score_test_is_just_refused(pair: tuple[int, int]) -> None:
    successes, trials = pair
    rate = wilson(successes, trials)
    assert rate.low is not None
    assert rate.high is not None
    assert 0 <= rate.low <= successes / trials <= rate.high <= 1
    for end in (rate.low, rate.high):
        if 0 < end < 1:
            deviation = abs(successes / trials - end) / (end * (1 - end) / trials) ** 0.5
            assert deviation == pytest.approx(Z_95, rel=1e-6)
