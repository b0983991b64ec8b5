"""The sequential user encoder (SASRec, PAPER section 6): what a user did, as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.config import UserEncoderConfig
from model.modules.attention import Attention


class Block(nn.Module):
    """A pre-LayerNorm transformer block."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, sequence: Tensor, visible: Tensor) -> Tensor:
        """Returns the states [b, q, d] of the last q positions of [b, s, d]; visible is bool [b, 1, q, s]."""
        asked = visible.shape[2]
        normed = self.attention_norm(sequence)
        states = sequence[:, -asked:] + self.dropout(self.attention(normed[:, -asked:], normed, visible))
        mixed: Tensor = states + self.dropout(self.feed_forward(states))
        return mixed


class UserEncoder(nn.Module):
    """Causal transformer over right-aligned item vectors with learned positions counted from the newest item."""

    def __init__(self, config: UserEncoderConfig, width: int) -> None:
        super().__init__()
        self.max_length = config.max_length
        self.positions = nn.Parameter(torch.randn(config.max_length, width) * 0.02)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(width, config.heads, config.dropout) for _ in range(config.blocks)])
        self.norm = nn.LayerNorm(width)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes every prefix: sequences [b, s, d] padded on the left, lengths [b]; returns [b, s, d]."""
        states, visible = self._prepare(sequences, lengths)
        for block in self.blocks:
            states = block(states, visible)
        encoded: Tensor = self.norm(states)
        return encoded

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes whole sequences [b, s, d] to [b, d]; the last block computes the last position only."""
        states, visible = self._prepare(sequences, lengths)
        for block in self.blocks[:-1]:
            states = block(states, visible)
        encoded: Tensor = self.norm(self.blocks[-1](states, visible[:, :, -1:]))
        return encoded[:, 0]

    def _prepare(self, sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Adds positions; position i sees j <= i that is not padding, and always itself: [b, s, d], [b, 1, s, s]."""
        count = sequences.shape[1]
        place = torch.arange(count, device=sequences.device)
        causal = place[:, None] >= place[None, :]
        real = place[None, :] >= count - lengths[:, None]
        itself = place[:, None] == place[None, :]
        visible = (causal & real[:, None, :]) | itself
        return self.dropout(sequences + self.positions[self.max_length - count :]), visible[:, None]
