"""The estimators find what is known: coverage, bias and variance in a world with known click probabilities."""

import numpy as np
import pytest

from app.off_policy.estimators import Estimates, estimate, mean_by_unit
from app.off_policy.slates import Order, build_slate
from tests.app.off_policy.world import World

SEEDS = 100
USERS = 200


@pytest.fixture(scope="module")
def world() -> World:
    return World.make()


@pytest.fixture(scope="module")
def runs(world: World) -> list[Estimates]:
    return [estimate(world.log(USERS, seed)) for seed in range(SEEDS)]


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_intervals_hold_the_true_value_as_often_as_they_say(world: World, runs: list[Estimates], name: str) -> None:
    truth = world.value(world.candidate)
    intervals = [getattr(one, name).candidate.interval for one in runs]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    # Of 100 worlds 95 are expected, with a standard error of 2.2: three of them either way.
    assert covered >= 0.95 - 3 * 0.022


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_differences_hold_the_true_one(world: World, runs: list[Estimates], name: str) -> None:
    truth = world.value(world.candidate) - world.value(world.served)
    intervals = [getattr(one, name).difference.interval for one in runs]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert covered >= 0.95 - 3 * 0.022


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_they_are_right_on_average(world: World, runs: list[Estimates], name: str) -> None:
    values = np.array([getattr(one, name).candidate.value for one in runs])
    error = values.std() / SEEDS**0.5
    assert values.mean() == pytest.approx(world.value(world.candidate), abs=4 * error)


def test_what_was_served_is_worth_what_it_is(world: World, runs: list[Estimates]) -> None:
    values = np.array([one.served.value for one in runs])
    assert values.mean() == pytest.approx(world.value(world.served), abs=4 * values.std() / SEEDS**0.5)


def test_a_good_model_of_rewards_makes_doubly_robust_the_steadiest(runs: list[Estimates]) -> None:
    spread = {name: np.std([getattr(one, name).candidate.value for one in runs]) for name in ("ips", "snips", "dr")}
    assert spread["dr"] < 0.9 * spread["ips"]
    assert spread["dr"] < 1.05 * spread["snips"]


def test_the_better_candidate_is_found_and_the_worse_one_too(world: World) -> None:
    better = estimate(world.log(1_000, 0)).dr.difference
    worse = estimate(World(world.rate, world.quality, world.candidate, world.served).log(1_000, 0)).dr.difference
    assert better.excludes_zero
    assert better.value > 0
    assert worse.excludes_zero
    assert worse.value < 0


def test_the_version_that_served_is_worth_exactly_what_it_earned(world: World) -> None:
    found = estimate(World(world.rate, world.quality, world.served, world.served).log(50, 1))
    assert found.ips.candidate.value == pytest.approx(found.served.value)
    assert found.snips.candidate.value == pytest.approx(found.served.value)
    assert found.ips.difference.value == pytest.approx(0.0)
    assert found.effective_size == pytest.approx(100)
    assert found.unsupported == 0.0
    assert found.largest_weight == pytest.approx(1.0)


def test_many_answers_of_one_user_are_not_many_users() -> None:
    values = np.repeat([0.0, 1.0, 1.0, 0.0, 1.0], 20)
    units = np.repeat(np.arange(5), 20)
    clustered, naive = mean_by_unit(values, units), mean_by_unit(values, np.arange(100))
    assert clustered.interval is not None
    assert naive.interval is not None
    # Five users, all of their answers alike: the error is that of five values, p (1 - p) / (5 - 1).
    assert clustered.interval.high - 0.6 == pytest.approx(1.959964 * (0.6 * 0.4 / 4) ** 0.5, rel=1e-6)
    assert naive.interval.high < clustered.interval.high


def test_one_user_gives_a_value_without_an_interval(world: World) -> None:
    found = estimate(world.log(1, 0))
    assert found.dr.candidate.interval is None
    assert not found.dr.difference.excludes_zero


def test_what_could_not_have_been_shown_is_told() -> None:
    served, candidate = Order(["a", "b"], np.array([2.0, 1.0])), Order(["q", "a", "b"], np.array([3.0, 2.0, 1.0]))
    slate = build_slate("u", [("a", True)], rate=0.2, served=served, candidate=candidate, popularity={})
    # In its one place the candidate shows "q" with 0.8 + 0.2 / 3.
    assert slate.unsupported == pytest.approx(0.8 + 0.2 / 3)
    # "a": by chance alone under the candidate, best or by chance as it was served.
    assert slate.weights == pytest.approx([(0.2 / 3) / (0.8 + 0.2 / 2)])


def test_a_candidate_with_less_to_show_than_there_are_places() -> None:
    served, candidate = Order(["a", "b", "c"], np.array([3.0, 2.0, 1.0])), Order(["b"], np.array([1.0]))
    slate = build_slate("u", [("a", True), ("b", True)], rate=0.2, served=served, candidate=candidate, popularity={})
    assert slate.weights.tolist() == [0.0, 0.0]
    nothing = build_slate("u", [("a", True)], rate=0.2, served=served, candidate=Order([], np.zeros(0)), popularity={})
    assert nothing.unsupported == 1.0
    assert estimate([slate, nothing]).dr.candidate.interval is None
