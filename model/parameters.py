"""How many numbers a training changes, by part of the network."""

from __future__ import annotations

from torch import nn

PARTS = {"encoders": "tower.encoders.", "tower": "tower.", "user_encoder": ""}
"""Parts by where the names of their parameters begin, the first that fits."""


def trainable_parameters(network: nn.Module) -> dict[str, int]:
    """Returns the trainable numbers of the encoders inside, the item tower, and the user encoder with all the rest."""
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            counts[next(part for part, start in PARTS.items() if name.startswith(start))] += parameter.numel()
    return counts
