"""The sequential user encoder (SASRec, PAPER section 6): what a user did, as one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.config import UserEncoderConfig
from model.modules.attention import Attention
from model.modules.dropout import Dropout


class Block(nn.Module):
    """A pre-LayerNorm transformer block."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = Dropout(dropout)

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
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList([Block(width, config.heads, config.dropout) for _ in range(config.blocks)])
        self.norm = nn.LayerNorm(width)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes every prefix: sequences [b, s, d] padded on the left, lengths [b]; returns [b, s, d]."""
        states, real = self._prepare(sequences, lengths)
        visible = _earlier(real)
        for block in self.blocks:
            states = block(states, visible)
        encoded: Tensor = self.norm(states)
        return encoded

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes whole sequences [b, s, d] to [b, d]; the last block computes the last position only."""
        states, real = self._prepare(sequences, lengths)
        visible = _earlier(real)
        for block in self.blocks[:-1]:
            states = block(states, visible)
        encoded: Tensor = self.norm(self.blocks[-1](states, real[:, None, None]))
        return encoded[:, 0]

    def _prepare(self, sequences: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Adds positions to sequences [b, s, d]; says which of them are not padding, bool [b, s]."""
        count = sequences.shape[1]
        real = torch.arange(count, 0, -1, device=sequences.device) <= lengths[:, None]
        return self.dropout(sequences + self.positions[self.max_length - count :]), real


def _earlier(real: Tensor) -> Tensor:
    """Position i sees j <= i that is not padding, bool [b, s], and always itself; returns bool [b, 1, s, s]."""
    place = torch.arange(real.shape[1], device=real.device)
    causal, itself = place[:, None] >= place, place[:, None] == place
    return ((causal & real[:, None]) | itself)[:, None]
