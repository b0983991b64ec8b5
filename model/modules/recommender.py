"""The whole network: an item tower and a user encoder that share one space."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from model.modules.score import INNER, PrefixEncoder, Score


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
        embedded = functional.embedding(sequences.clamp(min=0), vectors)
        return vectors, self._score.user_encoder(self.user_encoder)(embedded, lengths)
