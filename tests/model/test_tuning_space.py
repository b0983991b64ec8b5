"""Whatever a search may take from the space is a valid configuration of the method."""

import itertools
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from model.config import METHODS, known_options, parse_config
from model.options import ConfigError
from model.tuning_space import SPACE, Among, Between, defaults_of, space_of


class Chance:
    """Satisfies `Trial` by drawing evenly."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        if log:
            return float(np.exp(self._rng.uniform(np.log(low), np.log(high))))
        return float(self._rng.uniform(low, high))

    def suggest_categorical(self, name: str, choices: tuple[float, ...]) -> Any:
        return choices[self._rng.integers(len(choices))]


class Given:
    """Satisfies `Trial` with one number."""

    def __init__(self, value: float) -> None:
        self._value = value

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self._value

    def suggest_categorical(self, name: str, choices: tuple[float, ...]) -> Any:
        return self._value


def holds(dimension: Between | Among, value: float) -> bool:
    if isinstance(dimension, Between):
        return dimension.low <= value <= dimension.high
    return value in dimension.values


@pytest.mark.parametrize("method", METHODS)
def test_every_point_is_a_valid_configuration(method: str) -> None:
    space = space_of(method, {})
    for seed in range(50):
        point = {one.name: one.suggested(Chance(seed)) for one in space}
        assert parse_config(method, point).hyperparameters().items() >= point.items()


@pytest.mark.parametrize("method", METHODS)
def test_the_defaults_are_a_point_of_the_space(method: str) -> None:
    space, defaults = space_of(method, {}), defaults_of(method, {})
    assert [one.name for one in space] == list(defaults)
    assert all(holds(one, defaults[one.name]) for one in space)
    assert parse_config(method, defaults) == parse_config(method, {})


def test_what_a_method_does_not_read_is_not_searched() -> None:
    names = {method: {one.name for one in space_of(method, {})} for method in METHODS}
    assert all(names[method] <= set(known_options(method)) for method in METHODS)
    assert "side_layers" in names["crossan"]
    assert "side_layers" not in names["id"]
    assert "lora_rank" in names["lora"]
    every = set().union(*(known_options(method) for method in METHODS))
    assert {one.name for one in SPACE} <= every


def test_what_is_fixed_is_not_searched() -> None:
    fixed = {"learning_rate": 0.01, "item_width": 64}
    assert {one.name for one in space_of("crossan", fixed)} == {
        one.name for one in space_of("crossan", {}) if one.name not in fixed
    }


@pytest.mark.parametrize("fixed", [{"item_width": 18, "heads": 2}, {"heads": 8}, {"item_width": 34}, {}])
def test_heads_divide_the_width(fixed: Mapping[str, int]) -> None:
    values = {one.name: one.values for one in space_of("id", fixed) if isinstance(one, Among)}
    widths = values.get("item_width", (fixed.get("item_width"),))
    heads = values.get("heads", (fixed.get("heads"),))
    assert widths
    assert heads
    assert all(width % count == 0 for width, count in itertools.product(widths, heads) if width and count)


def test_bounds_are_widened_to_hold_a_default() -> None:
    assert Between("dropout", 0.1, 0.2).including(0.5) == Between("dropout", 0.1, 0.5)
    assert Among("blocks", (1, 3)).including(2).values == (1, 2, 3)


def test_numbers_have_four_digits() -> None:
    assert Between("learning_rate", 1e-3, 1e-1).suggested(Given(0.0123456)) == 0.01235


@pytest.mark.parametrize("fixed", [{"heads": 3}, {"epochs": 0}, {"nonsense": 1}])
def test_invalid_fixed_hyperparameters_are_refused(fixed: Mapping[str, Any]) -> None:
    with pytest.raises(ConfigError):
        space_of("crossan", fixed)


def test_nothing_left_to_search_is_refused() -> None:
    with pytest.raises(ConfigError, match="are fixed"):
        space_of("id", defaults_of("id", {}))


def test_it_is_imported_without_torch_and_without_a_searcher() -> None:
    code = "import sys, model.tuning_space; sys.exit(bool({'torch', 'optuna'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("fixed", [{"score": "cosine"}, {"loss": "gbce"}, {"loss": "sampled"}, {"cross_path": "none"}])
def test_only_what_is_read_with_what_is_fixed_is_searched(fixed: Mapping[str, Any]) -> None:
    space = space_of("crossan", fixed)
    for seed in range(20):
        point = {**fixed, **{one.name: one.suggested(Chance(seed)) for one in space}}
        assert parse_config("crossan", point).hyperparameters().items() >= point.items()
    names = {one.name for one in space}
    assert ("temperature" in names) == (fixed.get("score") != "cosine")
    assert ("cosine_temperature" in names) == (fixed.get("score") == "cosine")
    assert ("negatives" in names) == ("loss" in fixed)
    assert ("gbce_calibration" in names) == (fixed.get("loss") == "gbce")
