"""The side adapter block (SANB), the trainable unit beside a frozen layer (PAPER section 2)."""

from __future__ import annotations

from torch import Tensor, nn


class SideAdapter(nn.Module):
    """A(x) = x + W_up · act(W_down x); W_up starts small, so that A starts near the identity."""

    def __init__(self, width: int, bottleneck: int, activation: nn.Module) -> None:
        super().__init__()
        self.down = nn.Linear(width, bottleneck)
        self.activation = activation
        self.up = nn.Linear(bottleneck, width)
        nn.init.normal_(self.up.weight, std=0.02)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: Tensor) -> Tensor:
        """Adapts states [n, d] to [n, d]."""
        adapted: Tensor = states + self.up(self.activation(self.down(states)))
        return adapted
