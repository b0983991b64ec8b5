"""The whole network: an item tower and a user encoder that share one space."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Recommender(nn.Module):
    """Items as vectors, users as vectors of what they did; the score is the inner product."""

    def __init__(self, tower: nn.Module, user_encoder: nn.Module) -> None:
        super().__init__()
        self.tower = tower
        self.user_encoder = user_encoder

    def forward(self, item_inputs: tuple[Tensor, ...], sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes n items and every prefix of b sequences.

        Args:
            item_inputs: what the tower reads of n items.
            sequences: int64 [b, s], positions among those items, -1 for padding on the left.
            lengths: int64 [b].

        Returns:
            Item vectors [n, d] and user states [b, s, d].
        """
        vectors, _ = self.tower(*item_inputs)
        embedded = functional.embedding(sequences.clamp(min=0), vectors)
        return vectors, self.user_encoder(embedded, lengths)
