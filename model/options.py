"""Options of a training: how a field says its range and who reads it, and how a given value is checked."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import field
from typing import Any


class ConfigError(ValueError):
    """A hyperparameter that does not exist or has a value outside its range."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(f"{field_name}: {message}")
        self.field = field_name
        self.message = message


def integer(default: int, low: int, high: int, *, methods: tuple[str, ...] = ()) -> Any:
    """A whole number between two bounds; `methods` are those that read it, none meaning all."""
    return field(default=default, metadata={"type": int, "low": low, "high": high, "methods": methods})


def number(default: float, low: float, high: float, *, methods: tuple[str, ...] = ()) -> Any:
    """A number between two bounds."""
    return field(default=default, metadata={"type": float, "low": low, "high": high, "methods": methods})


def choice(default: str, *others: str, methods: tuple[str, ...] = ()) -> Any:
    """One of some words."""
    return field(default=default, metadata={"type": str, "choices": (default, *others), "methods": methods})


def flag(default: bool, *, methods: tuple[str, ...] = ()) -> Any:
    """Yes or no."""
    return field(default=default, metadata={"type": bool, "methods": methods})


def words(default: str, *, methods: tuple[str, ...] = ()) -> Any:
    """Words with commas between them, such as "text,image"."""
    return field(default=default, metadata={"type": str, "methods": methods})


def is_read_by(known: dataclasses.Field[Any], method: str) -> bool:
    """Whether a method reads a field."""
    return not known.metadata["methods"] or method in known.metadata["methods"]


def validated(known: dataclasses.Field[Any], value: Any) -> Any:
    """Returns `value` in the field's type.

    Raises:
        ConfigError: saying what is allowed.
    """
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
