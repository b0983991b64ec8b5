import pytest
from scipy import stats

from app.experiments.outcomes import ArmOutcome, DraftOutcome
from app.experiments.ratio import Moments
from app.experiments.results import arm_results, draft_result, sample_ratio, warnings_about
from app.experiments.running import Arm

ARMS = (Arm("a", 0.25, None, None), Arm("b", 0.5, "v2", None))


def outcome(users: int, converted: int) -> ArmOutcome:
    return ArmOutcome(2 * users, users, Moments.of_shares(users, converted), Moments.of_shares(users, converted))


def test_the_sizes_of_arms_are_held_against_their_shares() -> None:
    found = sample_ratio(ARMS, {"a": outcome(340, 0), "b": outcome(660, 0)})
    assert found is not None
    # Shares of 1/4 and 1/2 are a third and two thirds of who takes part.
    expected = stats.chisquare([340, 660], [1000 / 3, 2000 / 3]).pvalue
    assert found.p_value == pytest.approx(expected)
    assert not found.mismatch


def test_a_mismatch_is_a_warning() -> None:
    found = sample_ratio(ARMS, {"a": outcome(400, 0), "b": outcome(600, 0)})
    assert found is not None
    assert found.mismatch
    assert "sample ratio mismatch" in warnings_about([], None, found)[0]


def test_an_arm_without_users_is_a_mismatch_too() -> None:
    found = sample_ratio(ARMS, {"b": outcome(600, 0)})
    assert found is not None
    assert found.mismatch


def test_every_arm_is_held_against_the_first() -> None:
    first, second = arm_results(ARMS, {"a": outcome(200, 20), "b": outcome(400, 60)}, {("b", "v2"): 800})
    assert first.against_first is None
    assert second.against_first is not None
    assert second.against_first.conversion is not None
    assert second.against_first.conversion.value == pytest.approx(0.15 - 0.1)
    assert second.against_first.conversion.relative == pytest.approx(0.5)
    assert second.served_otherwise == 0
    assert warnings_about([first, second], None, None) == []


def test_without_a_preference_everything_is_possible() -> None:
    found = draft_result(ARMS[0], ARMS[1], DraftOutcome(10, 5, 0, 0, 0, 0, 0, 0))
    assert found.ties == 10
    assert found.preference.share is None
    assert (found.preference.low, found.preference.high, found.preference.p_value) == (0.0, 1.0, 1.0)
    assert warnings_about([], found, None)
