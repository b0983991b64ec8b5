import numpy as np
import pytest

from app.experiments.running import Arm, RunningExperiment, assign, uniform
from app.experiments.statistics import chi_square_p_value

UNITS = [f"user {n}" for n in range(20_000)]


def experiment(*shares: float, id_: int = 1, salt: str = "salt", interleaved: bool = False) -> RunningExperiment:
    arms = tuple(Arm(f"arm{place}", share, None, None) for place, share in enumerate(shares))
    return RunningExperiment(id_, f"experiment {id_}", salt, arms, interleaved)


def names(one: RunningExperiment, units: list[str] = UNITS) -> list[str | None]:
    arms = [one.pick_arm(unit) for unit in units]
    return [arm and arm.name for arm in arms]


def test_uniform_is_what_it_always_was() -> None:
    # Fixed: another hash would move every user of every running experiment. BLAKE2b-64 of "a\0b", plus 1, over 2^64.
    assert uniform("a", "b") == 0.9990435296234165


def test_uniform_is_uniform() -> None:
    # Kolmogorov-Smirnov at 0.1%: 1.95 / sqrt(n).
    values = np.sort([uniform("salt", unit) for unit in UNITS])
    steps = np.arange(1, len(UNITS) + 1) / len(UNITS)
    assert np.abs(values - steps).max() < 1.95 / len(UNITS) ** 0.5
    assert values[0] > 0
    assert values[-1] <= 1


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.2, 0.3, 0.1), (0.05, 0.9)])
def test_arms_get_their_shares(shares: tuple[float, ...]) -> None:
    found = names(experiment(*shares))
    expected = {f"arm{place}": share for place, share in enumerate(shares)}
    if (outside := 1 - sum(shares)) > 1e-9:
        expected[None] = outside
    statistic = sum(
        (found.count(name) - share * len(UNITS)) ** 2 / (share * len(UNITS)) for name, share in expected.items()
    )
    assert chi_square_p_value(statistic, len(expected) - 1) > 0.001


def test_experiments_of_different_salts_are_independent() -> None:
    first, second = names(experiment(0.5, 0.5, salt="a")), names(experiment(0.5, 0.5, salt="b"))
    # In a 2 x 2 table of independent halves each cell has n / 4.
    cells = [
        sum(pair == (x, y) for pair in zip(first, second, strict=True))
        for x in ("arm0", "arm1")
        for y in ("arm0", "arm1")
    ]
    statistic = sum((cell - len(UNITS) / 4) ** 2 / (len(UNITS) / 4) for cell in cells)
    assert chi_square_p_value(statistic, 3) > 0.001


@pytest.mark.parametrize(
    ("before", "after"),
    [((0.1, 0.1), (0.4, 0.4)), ((1 / 3, 1 / 3, 1 / 3), (0.5, 0.25, 0.25)), ((0.5, 0.5), (0.9, 0.1))],
)
def test_a_change_of_shares_moves_as_few_units_as_possible(before: tuple[float, ...], after: tuple[float, ...]) -> None:
    first, second = names(experiment(*before)), names(experiment(*after))
    moved = sum(x != y for x, y in zip(first, second, strict=True)) / len(UNITS)
    # No assignment can do with less than what the arms that grow take up.
    needed = sum(max(0.0, y - x) for x, y in zip((*before, 1 - sum(before)), (*after, 1 - sum(after)), strict=True))
    assert moved == pytest.approx(needed, abs=4 * (needed / len(UNITS)) ** 0.5)


def test_widening_an_experiment_moves_nobody_between_its_arms() -> None:
    first, second = names(experiment(0.1, 0.1)), names(experiment(0.4, 0.4))
    assert all(x == y for x, y in zip(first, second, strict=True) if x is not None)


def test_the_first_experiment_that_holds_the_unit_has_it() -> None:
    half, rest = experiment(0.25, 0.25, id_=1, salt="a"), experiment(0.5, 0.5, id_=2, salt="b")
    for unit in UNITS[:200]:
        found = assign([half, rest], unit)
        assert found is not None
        inside = half.pick_arm(unit)
        assert found.experiment is (half if inside else rest)
        assert found.arm == (inside or rest.pick_arm(unit))


def test_outside_of_all_shares_there_is_no_assignment() -> None:
    tiny = experiment(0.0005, 0.0005)
    assert assign([], "ada") is None
    assert sum(assign([tiny], unit) is None for unit in UNITS) > 0.99 * len(UNITS)


def test_an_interleaving_is_given_both_arms() -> None:
    found = assign([experiment(0.5, 0.5, interleaved=True)], "ada")
    assert found is not None
    assert found.arm is None


def test_any_text_is_a_unit() -> None:
    assert experiment(0.5, 0.5).pick_arm("\ud800 \x00 ü") is not None


def test_shares_of_a_tenth_each_leave_nobody_outside() -> None:
    # 0.1 ten times is 0.9999999999999999 in binary.
    assert None not in names(experiment(*[0.1] * 10))
