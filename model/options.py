"""Options of a training: how a field says its range and who reads it, and how a given value is checked."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import field
from typing import Any

Needs = tuple[str, tuple[Any, ...]]
"""Another option of the same part, and its values with which an option is read."""


class ConfigError(ValueError):
    """A hyperparameter that does not exist or has a value outside its range."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(f"{field_name}: {message}")
        self.field = field_name
        self.message = message


def integer(default: int, low: int, high: int, *, methods: tuple[str, ...] = (), needs: Needs | None = None) -> Any:
    """A whole number between two bounds; `methods` are those that read it, none meaning all."""
    return field(default=default, metadata={"type": int, "low": low, "high": high, "methods": methods, "needs": needs})


def number(
    default: float, low: float, high: float, *, methods: tuple[str, ...] = (), needs: Needs | None = None
) -> Any:
    """A number between two bounds."""
    rule = {"type": float, "low": low, "high": high, "methods": methods, "needs": needs}
    return field(default=default, metadata=rule)


def choice(default: str, *others: str, methods: tuple[str, ...] = (), needs: Needs | None = None) -> Any:
    """One of some words."""
    rule = {"type": str, "choices": (default, *others), "methods": methods, "needs": needs}
    return field(default=default, metadata=rule)


def flag(default: bool, *, methods: tuple[str, ...] = ()) -> Any:
    """Yes or no."""
    return field(default=default, metadata={"type": bool, "methods": methods})


def words(default: str, *, methods: tuple[str, ...] = ()) -> Any:
    """Words with commas between them, such as "text,image"."""
    return field(default=default, metadata={"type": str, "methods": methods})


def is_read_by(known: dataclasses.Field[Any], method: str) -> bool:
    """Whether a method reads a field."""
    return not known.metadata["methods"] or method in known.metadata["methods"]


def require_read(part: Any) -> None:
    """Refuses a value that nothing would read, because another option of the same part says otherwise.

    Raises:
        ConfigError: naming the option, and what it needs.
    """
    for known in dataclasses.fields(part):
        needs: Needs | None = known.metadata.get("needs")
        if needs is None or getattr(part, known.name) == known.default:
            continue
        other, values = needs
        if getattr(part, other) not in values:
            raise ConfigError(known.name, f"is read only with {other} {' or '.join(map(str, values))}")


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
