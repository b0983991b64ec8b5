"""Typed, validated settings of a training, importable without torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

METHODS = ("crossan", "id")


class ConfigError(ValueError):
    """A hyperparameter that does not exist or has a value outside its range."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(f"{field_name}: {message}")
        self.field = field_name
        self.message = message


def _integer(default: int, low: int, high: int) -> Any:
    return field(default=default, metadata={"type": int, "low": low, "high": high})


def _number(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"type": float, "low": low, "high": high})


def _choice(default: str, *others: str) -> Any:
    return field(default=default, metadata={"type": str, "choices": (default, *others)})


def _flag(default: bool) -> Any:
    return field(default=default, metadata={"type": bool})


@dataclass(frozen=True)
class ModalityConfig:
    """What one encoder stores for an item: `layers_total` hidden states (depth + 1) of `width` numbers."""

    name: str
    width: int
    layers_total: int


@dataclass(frozen=True)
class CatalogueShape:
    """What a method must know of a catalogue to build its network."""

    item_count: int
    modalities: tuple[ModalityConfig, ...]


@dataclass(frozen=True)
class TowerConfig:
    """The item tower: dimension transformation, side network and fusion.

    `cross_path` says what the cross-modal links read: the other modalities' `adapted` states z^(j-1), their `raw`
    projected states x^j, or nothing at all (`none`, the ablation).
    """

    item_width: int = _integer(64, 4, 1024)
    side_width: int = _integer(64, 4, 1024)
    bottleneck: int = _integer(64, 1, 1024)
    side_layers: int = _integer(4, 1, 64)
    cross_path: str = _choice("adapted", "raw", "none")
    shared_adapters: bool = _flag(False)
    activation: str = _choice("gelu", "relu")
    expert: str = _choice("mlp", "linear")
    gate_temperature: float = _number(0.1, 0.01, 10.0)
    modality_dropout: float = _number(0.1, 0.0, 0.9)
    state_dropout: float = _number(0.1, 0.0, 0.9)


@dataclass(frozen=True)
class UserEncoderConfig:
    """The sequential user encoder; its width is the item vectors' width."""

    max_length: int = _integer(50, 1, 1000)
    blocks: int = _integer(2, 1, 16)
    heads: int = _integer(2, 1, 16)
    dropout: float = _number(0.2, 0.0, 0.9)


@dataclass(frozen=True)
class OptimisationConfig:
    """How the network is fitted; `patience` counts epochs without a better validation NDCG@10."""

    loss: str = _choice("auto", "full", "in_batch")
    temperature: float = _number(4.0, 0.01, 100.0)
    epochs: int = _integer(20, 1, 10_000)
    patience: int = _integer(10, 1, 10_000)
    batch_size: int = _integer(128, 1, 65_536)
    learning_rate: float = _number(8e-3, 1e-7, 1.0)
    weight_decay: float = _number(0.01, 0.0, 10.0)
    warmup_epochs: int = _integer(1, 0, 1000)
    average_decay: float = _number(0.99, 0.0, 0.99999)
    seed: int = _integer(0, 0, 2**31 - 1)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training, apart from its data."""

    method: str = "crossan"
    tower: TowerConfig = field(default_factory=TowerConfig)
    user_encoder: UserEncoderConfig = field(default_factory=UserEncoderConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)

    def hyperparameters(self) -> dict[str, Any]:
        """Returns the flat mapping that `parse_config` reads."""
        parts = (self.tower, self.user_encoder, self.optimisation)
        return {name: value for part in parts for name, value in dataclasses.asdict(part).items()}


def parse_config(method: str, hyperparameters: Mapping[str, Any]) -> TrainingConfig:
    """Builds a training configuration from a flat mapping of hyperparameters; what is not given has its default.

    Raises:
        ConfigError: for an unknown method or hyperparameter, a wrong type, or a value outside its range.
    """
    if method not in METHODS:
        raise ConfigError("method", f"must be one of {', '.join(METHODS)}, not {method!r}")
    parts = {"tower": TowerConfig, "user_encoder": UserEncoderConfig, "optimisation": OptimisationConfig}
    known = {f.name: f for part in parts.values() for f in dataclasses.fields(part)}
    for name in hyperparameters:
        if name not in known:
            raise ConfigError(name, f"unknown hyperparameter; known are {', '.join(sorted(known))}")
    values = {name: _validated(known[name], value) for name, value in hyperparameters.items()}
    built = {
        key: part(**{f.name: values[f.name] for f in dataclasses.fields(part) if f.name in values})
        for key, part in parts.items()
    }
    config = TrainingConfig(method, **cast(Any, built))
    if config.tower.item_width % config.user_encoder.heads:
        raise ConfigError("heads", f"must divide item_width ({config.tower.item_width})")
    return config


def _validated(known: dataclasses.Field[Any], value: Any) -> Any:
    """Returns `value` in the field's type, or raises a `ConfigError` that says what is allowed."""
    rule = known.metadata
    wanted: type = rule["type"]
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise ConfigError(known.name, f"must be of type {wanted.__name__}, not {type(value).__name__}")
    if "choices" in rule and value not in rule["choices"]:
        raise ConfigError(known.name, f"must be one of {', '.join(rule['choices'])}, not {value!r}")
    if "low" in rule and not rule["low"] <= value <= rule["high"]:
        raise ConfigError(known.name, f"must lie between {rule['low']} and {rule['high']}, not {value}")
    return value
