"""Which hyperparameters a search varies and within what bounds: data only, without torch and without a searcher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, replace
from typing import Any, Protocol

from model.config import known_options, parse_config
from model.options import ConfigError

DIGITS = 4
"""Significant digits of a number that is searched: more say nothing, and make a command line hard to read."""


@dataclass(frozen=True)
class Between:
    """Any number from `low` to `high`; evenly by its logarithm if `log`."""

    name: str
    low: float
    high: float
    log: bool = False

    def including(self, default: Any) -> Between:
        """Returns the same, widened to hold the default."""
        return replace(self, low=min(self.low, default), high=max(self.high, default))

    def suggested(self, trial: Trial) -> float:
        """Returns what the searcher wants to try."""
        return float(f"{trial.suggest_float(self.name, self.low, self.high, log=self.log):.{DIGITS}g}")


@dataclass(frozen=True)
class Among:
    """One of some values, ascending."""

    name: str
    values: tuple[float, ...]

    def including(self, default: Any) -> Among:
        """Returns the same, with the default among the values."""
        return replace(self, values=tuple(sorted({*self.values, default})))

    def suggested(self, trial: Trial) -> Any:
        """Returns what the searcher wants to try."""
        return trial.suggest_categorical(self.name, self.values)


Dimension = Between | Among


class Trial(Protocol):
    """What a searcher answers with; `optuna.Trial` is one."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number between two bounds."""

    def suggest_categorical(self, name: str, choices: tuple[float, ...]) -> Any:
        """One of the choices."""


SPACE: tuple[Dimension, ...] = (
    Between("learning_rate", 1e-3, 3e-2, log=True),
    Between("encoder_learning_rate", 1e-5, 1e-3, log=True),
    Between("temperature", 0.5, 16.0, log=True),
    Between("cosine_temperature", 0.02, 0.2, log=True),
    Between("weight_decay", 1e-4, 0.3, log=True),
    Between("dropout", 0.0, 0.6),
    Between("state_dropout", 0.0, 0.5),
    Between("modality_dropout", 0.0, 0.5),
    Between("residual_dropout", 0.0, 0.5),
    Between("gbce_calibration", 0.0, 1.0),
    Among("average_decay", (0.0, 0.9, 0.99, 0.995)),
    Among("batch_size", (64, 128, 256, 512)),
    Among("negatives", (64, 256, 1024)),
    Among("item_width", (32, 64, 96, 128, 192)),
    Among("side_width", (32, 64, 128)),
    Among("side_layers", (2, 3, 4, 6)),
    Among("bottleneck", (16, 32, 64, 128)),
    Among("lora_rank", (4, 8, 16, 32)),
    Among("max_length", (20, 50, 100)),
    Among("blocks", (1, 2, 3)),
    Among("heads", (1, 2, 4)),
)
"""Priors around the defaults; what decides how long a training takes (epochs, patience) is the caller's to fix."""


def space_of(method: str, fixed: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Returns what to vary for a method, whose default is always within the bounds.

    Whatever is taken from it together with `fixed` is a valid configuration: of heads and item_width only such values
    are left that divide each other.

    Args:
        method: its name; what it does not read, or not with what is fixed, is left out.
        fixed: hyperparameters that are decided; they are left out.

    Raises:
        ConfigError: when `fixed` is not valid, or nothing is left to search.
    """
    defaults = parse_config(method, fixed).hyperparameters()
    known = {name: option for name, option in known_options(method).items() if _is_read(option, defaults)}
    free = [one for one in SPACE if one.name in known and one.name not in fixed]
    space = tuple(_fitting(one, fixed).including(defaults[one.name]) for one in free)
    if not space:
        raise ConfigError("hyperparameters", "all that a search could vary are fixed")
    return space


def defaults_of(method: str, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the point of the space that a training without a search would take."""
    defaults = parse_config(method, fixed).hyperparameters()
    return {one.name: defaults[one.name] for one in space_of(method, fixed)}


def _is_read(option: Field[Any], values: Mapping[str, Any]) -> bool:
    needs = option.metadata.get("needs")
    return needs is None or values[needs[0]] in needs[1]


def _fitting(dimension: Dimension, fixed: Mapping[str, Any]) -> Dimension:
    """Leaves those heads that divide a fixed width, and those widths that a fixed number of heads divides.

    With neither fixed, every width of the space is a multiple of every number of heads in it.
    """
    if isinstance(dimension, Between):
        return dimension
    values = dimension.values
    if dimension.name == "heads" and "item_width" in fixed:
        values = tuple(heads for heads in values if fixed["item_width"] % heads == 0)
    if dimension.name == "item_width" and "heads" in fixed:
        values = tuple(width for width in values if width % fixed["heads"] == 0)
    return replace(dimension, values=values)
