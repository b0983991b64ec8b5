"""Dimension transformation: hidden states of any width, brought to the width of the side network (PAPER section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.modules.dropout import Dropout

VARIANCE_FLOOR = 1e-6


class Standardisation(nn.Module):
    """LayerNorm((h - centre_j) / spread_j) for each selected layer j of one encoder, then dropout; nothing trains.

    States of an encoder share a large common part and have a few dimensions of huge scale, which LayerNorm alone
    leaves as they are; so each dimension of each layer is first standardised by what the catalogue shows.
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.is_done = False
        """Whether the states that come have been standardised before."""
        self.centre: Tensor
        self.spread: Tensor
        self.register_buffer("centre", torch.zeros(layers, width))
        self.register_buffer("spread", torch.ones(layers, width))

    def calibrate(self, states: Tensor) -> None:
        """Takes centre and spread from a sample of states [n, l, D_k] of items that have the modality."""
        if len(states):
            self.centre.copy_(states.mean(dim=0))
            self.spread.copy_((states.var(dim=0, correction=0) + VARIANCE_FLOOR).sqrt())

    def standardised(self, states: Tensor) -> Tensor:
        """Brings states [n, l, D_k] to one scale, [l, n, D_k]."""
        if self.is_done:
            return states.transpose(0, 1)
        normed = functional.layer_norm((states - self.centre) / self.spread, states.shape[-1:])
        return normed.transpose(0, 1)

    def forward(self, states: Tensor) -> Tensor:
        """Brings states [n, l, D_k] to one scale, [l, n, D_k], some of it dropped in training."""
        dropped: Tensor = self.dropout(self.standardised(states))
        return dropped


class DimensionTransformation(Standardisation):
    """P(h) = W_j · standardised(h)_j + b_j, then dropout, one map for each selected layer j of one encoder.

    The standardisation has no weights of its own: they would be absorbed by W_j.
    """

    def __init__(self, width_in: int, width: int, layers: int, dropout: float) -> None:
        super().__init__(width_in, layers, dropout)
        self.weight = nn.Parameter(torch.randn(layers, width_in, width) * width_in**-0.5)
        self.bias = nn.Parameter(torch.zeros(layers, 1, width))

    def forward(self, states: Tensor) -> Tensor:
        """Projects states [n, l, D_k] to [l, n, d]."""
        projected: Tensor = self.dropout(torch.baddbmm(self.bias, self.standardised(states), self.weight))
        return projected
