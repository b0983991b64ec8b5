"""Inputs of the towers that read an item's number beside its stored states."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from model.methods.base import ItemInputs


class NumberedInputs:
    """Reads (numbers, *what another reader gives) of items."""

    def __init__(self, inputs: ItemInputs, *, device: str) -> None:
        self._inputs = inputs
        self._device = device

    def gather(self, items: Tensor) -> tuple[Any, ...]:
        """Returns the numbers int64 [n] and the other inputs of items int64 [n]."""
        return (items.to(self._device), *self._inputs.gather(items))

    @property
    def content(self) -> ItemInputs:
        """The other reader."""
        return self._inputs
