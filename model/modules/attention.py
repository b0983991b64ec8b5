"""Multi-head attention in which the last positions of a sequence ask about all of it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Scaled dot-product attention with `heads` heads and one output projection."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(self, queries: Tensor, sequence: Tensor, visible: Tensor) -> Tensor:
        """Attends from queries [b, q, d] to sequence [b, s, d] where visible, bool [b, 1, q, s], is true; [b, q, d]."""
        key, value = self.key_value(sequence).chunk(2, dim=-1)
        mixed = functional.scaled_dot_product_attention(
            self._split(self.query(queries)), self._split(key), self._split(value), attn_mask=visible
        )
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return joined

    def _split(self, states: Tensor) -> Tensor:
        """Turns [b, s, d] into [b, heads, s, d / heads]."""
        users, count, width = states.shape
        return states.view(users, count, self.heads, width // self.heads).transpose(1, 2)
