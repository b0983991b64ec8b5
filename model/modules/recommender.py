"""The whole network: an item tower and a user encoder that share one space."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.modules.score import INNER, PrefixEncoder, Score

ROWS_AT_ONCE = {"cpu": 32}
"""Sequences encoded together, on a device where that is no faster than in parts, each as wide as its longest one."""


class Recommender(nn.Module):
    """Items as vectors, users as vectors of what they did; the score is the inner product."""

    def __init__(self, tower: nn.Module, user_encoder: nn.Module, score: Score = INNER) -> None:
        super().__init__()
        self.tower = tower
        self.user_encoder = user_encoder
        self._score = score

    def with_tower(self, tower: nn.Module) -> Recommender:
        """Returns this network with another tower; what they share is shared."""
        return Recommender(tower, self.user_encoder, self._score)

    def describing(self, tower: nn.Module) -> nn.Module:
        """Returns what gives the vectors that are compared, from this network's tower or a part of it."""
        return self._score.tower(tower)

    @property
    def encoding(self) -> PrefixEncoder:
        """What gives the users' vectors that are compared, a module."""
        return cast(PrefixEncoder, self._score.user_encoder(self.user_encoder))

    def forward(self, item_inputs: tuple[Tensor, ...], sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes n items and every prefix of b sequences.

        Args:
            item_inputs: what the tower reads of n items.
            sequences: int64 [b, s], positions among those items, -1 for padding on the left.
            lengths: int64 [b].

        Returns:
            Item vectors [n, d] and user states [b, s, d].
        """
        vectors, _ = self.describing(self.tower)(*item_inputs)
        rows = ROWS_AT_ONCE.get(sequences.device.type, max(len(sequences), 1))
        parts = zip(torch.split(sequences, rows), torch.split(lengths, rows), strict=True)
        return vectors, torch.cat([self._encoded(vectors, *part) for part in parts])

    def _encoded(self, vectors: Tensor, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes some sequences without the padding that all of them have; returns zeros there, [b, s, d]."""
        width = int(lengths.max()) if sequences.device.type in ROWS_AT_ONCE else sequences.shape[1]
        embedded = functional.embedding(sequences[:, -width:].clamp(min=0), vectors)
        states = self._score.user_encoder(self.user_encoder)(embedded, lengths)
        return functional.pad(states, (0, 0, sequences.shape[1] - width, 0))
