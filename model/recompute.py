"""Activation checkpointing: what blocks compute is not kept for the backward pass but computed again there."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from model.options import ConfigError


def recompute_blocks(user_encoder: nn.Module) -> None:
    """Makes each of a user encoder's `blocks` keep its input only, in place; gradients stay the same.

    Raises:
        ConfigError: when it has no blocks.
    """
    blocks = getattr(user_encoder, "blocks", None)
    if not isinstance(blocks, nn.ModuleList):
        raise ConfigError("activation_checkpointing", "the user encoder of this method cannot do it")
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
