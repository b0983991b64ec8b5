"""The processes that share one training: each has some rows of every batch, and their gradients add up."""

from __future__ import annotations

from typing import Protocol, TypeVar

from torch import Tensor

Anything = TypeVar("Anything")


class Group(Protocol):
    """All processes of one training, as one of them sees it."""

    rank: int
    count: int

    def add_up(self, values: Tensor) -> Tensor:
        """Returns the sum of all processes' values, the same in each."""

    def from_main(self, value: Anything | None) -> Anything:
        """Returns what the first process has given; the others' values do not count."""


class Alone:
    """The one process of a training."""

    rank = 0
    count = 1

    def add_up(self, values: Tensor) -> Tensor:
        """Returns the values as they are."""
        return values

    def from_main(self, value: Anything | None) -> Anything:
        """Returns the value as it is."""
        assert value is not None
        return value


ALONE = Alone()
