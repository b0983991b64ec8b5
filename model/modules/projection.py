"""Dimension transformation: hidden states of any width, brought to the width of the side network (PAPER section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class DimensionTransformation(nn.Module):
    """P(h) = W_j · LayerNorm(h) + b_j, one map for each selected layer j of one encoder.

    The normalisation has no weights of its own: they would be absorbed by W_j.
    """

    def __init__(self, width_in: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(layers, width_in, width) * width_in**-0.5)
        self.bias = nn.Parameter(torch.zeros(layers, 1, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """Projects states [n, l, D_k] to [l, n, d]."""
        normed = functional.layer_norm(states, states.shape[-1:])
        projected: Tensor = self.dropout(torch.baddbmm(self.bias, normed.transpose(0, 1), self.weight))
        return projected
