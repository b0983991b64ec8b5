"""VIP5 (Geng et al. 2023, PAPER section 8): a sequence-to-sequence model that reads items as id and media tokens.

A tiny T5 of random weights, the same for every training, stays frozen; what trains is what VIP5 trains (adapters and
the map of the media), and what T5 would have learned of language: the tokens of ids and prompt, position biases and
layer norms.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import nn

from model.config import CatalogueShape, TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.methods.base import Method
from model.methods.layers import last_layer
from model.methods.numbered import NumberedInputs
from model.methods.states import calibrate, reads_states
from model.modules.adapters import SideAdapter
from model.modules.fusion import ModalityDropout
from model.modules.projection import DimensionTransformation
from model.modules.state_tower import StateTower
from model.modules.vip5 import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    HeadedAttention,
    Layout,
    LoneAttention,
    PromptedUserEncoder,
    SelfAttention,
    Sublayer,
)
from model.modules.vip5_tokens import MediaTokens, NoMedia, TokenFusion, TokenTower

FROZEN_SEED = 5


def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> TokenTower:
    """Builds the tokens of every item."""
    content = _media(config, catalogue) if config.tower.media_tokens else NoMedia(config.tower.item_width)
    return TokenTower(content, catalogue.item_count, config.tower.item_width)


def _media(config: TrainingConfig, catalogue: CatalogueShape) -> StateTower:
    tower = config.tower
    projections = [
        DimensionTransformation(modality.width, tower.media_tokens * tower.item_width, 1, 0.0)
        for modality in catalogue.modalities
    ]
    return StateTower(ModalityDropout(tower.modality_dropout), MediaTokens(projections), TokenFusion(tower.item_width))


def build_user_encoder(config: TrainingConfig) -> PromptedUserEncoder:
    """Builds the stack: frozen parts of a seed of their own, with adapters of the training's seed."""
    wanted, width = config.user_encoder, config.tower.item_width
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(FROZEN_SEED)
        encoder = [(SelfAttention(width, wanted.heads), FeedForward(width)) for _ in range(wanted.blocks)]
        decoder = [
            (LoneAttention(width), HeadedAttention(width, wanted.heads), FeedForward(width))
            for _ in range(wanted.blocks)
        ]

    def sublayer(part: nn.Module) -> Sublayer:
        return Sublayer(part, SideAdapter(width, config.tower.bottleneck, nn.ReLU()), width, wanted.dropout)

    return PromptedUserEncoder(
        [EncoderBlock(*map(sublayer, parts)) for parts in encoder],
        [DecoderBlock(*map(sublayer, parts)) for parts in decoder],
        layout=Layout(1 + config.tower.media_tokens, config.tower.prompt_tokens, width, wanted.heads),
        dropout=wanted.dropout,
    )


def _inputs(config: TrainingConfig, dataset: Dataset, device: str) -> NumberedInputs:
    return NumberedInputs(reads_states(last_layer)(config, dataset, device), device=device)


def _prepare(tower: nn.Module, inputs: tuple[Any, ...], train: Interactions) -> None:
    """Shows the maps of the media a sample of items, and counts each item's training events."""
    tower = cast(TokenTower, tower)
    if isinstance(tower.content, StateTower):
        calibrate(tower.content, inputs[1:], train)
    tower.count(torch.from_numpy(np.bincount(train.items, minlength=len(tower.learned))))


def _content(tower: nn.Module) -> nn.Module:
    return cast(TokenTower, tower).content


VIP5 = Method(build_tower, _inputs, _prepare, last_layer, content_tower=_content, build_user_encoder=build_user_encoder)
