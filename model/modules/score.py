"""How a user and an item are compared. What is stored and served is always an inner product of two vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, cast

from torch import Tensor, nn
from torch.nn import functional


class PrefixEncoder(Protocol):
    """What a user encoder can do (`model.modules.user_encoder.UserEncoder`)."""

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes whole sequences [b, s, w] to [b, w]."""


class UnitTower(nn.Module):
    """An item tower whose vectors have length one."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, *inputs: Any) -> tuple[Tensor, Tensor]:
        """Takes what the tower takes; returns unit vectors [n, w] and shares [n, m]."""
        vectors, shares = self.tower(*inputs)
        return functional.normalize(vectors, dim=-1), shares


class UnitUserEncoder(nn.Module):
    """A user encoder that reads unit vectors, stretched to the length √w of normed ones, and returns unit vectors."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes every prefix of [b, s, w] to [b, s, w]."""
        return functional.normalize(self.encoder(_stretched(sequences), lengths), dim=-1)

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes whole sequences [b, s, w] to [b, w]."""
        return functional.normalize(cast(PrefixEncoder, self.encoder).last(_stretched(sequences), lengths), dim=-1)


def _stretched(sequences: Tensor) -> Tensor:
    return sequences * math.sqrt(sequences.shape[-1])


def _same(module: nn.Module) -> nn.Module:
    return module


class Wrapper(Protocol):
    """Puts a module around another, or not."""

    def __call__(self, module: nn.Module, /) -> nn.Module:
        """Returns what is to be called in its place."""


@dataclass(frozen=True)
class Score:
    """A comparison, as what it puts around a tower and a user encoder; both share the weights of what is inside."""

    tower: Wrapper
    user_encoder: Wrapper


INNER = Score(_same, _same)
SCORES = {"inner": INNER, "cosine": Score(UnitTower, UnitUserEncoder)}
"""By name: the inner product, and the cosine, which is that of unit vectors."""
