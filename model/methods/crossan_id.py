"""CROSSAN with ids: what content says of an item, and what only its events can tell.

Events that are held out are not counted: popularity in the test must not decide which items have a residual.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import nn

from model.config import CatalogueShape, TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.methods import crossan
from model.methods.base import Method
from model.methods.numbered import NumberedInputs
from model.modules.state_tower import ResidualTower


def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> ResidualTower:
    """Builds CROSSAN's tower with a residual for each item of the catalogue."""
    tower = config.tower
    return ResidualTower(
        crossan.build_tower(config, catalogue),
        catalogue.item_count,
        tower.item_width,
        min_events=tower.residual_min_events,
        dropout=tower.residual_dropout,
    )


def _inputs(config: TrainingConfig, dataset: Dataset, device: str) -> NumberedInputs:
    return NumberedInputs(crossan.CROSSAN.build_inputs(config, dataset, device), device=device)


def _prepare(tower: nn.Module, inputs: tuple[Any, ...], train: Interactions) -> None:
    """Calibrates the content part and counts each item's training events."""
    tower = cast(ResidualTower, tower)
    crossan.CROSSAN.prepare(tower.content, inputs[1:], train)
    tower.count(torch.from_numpy(np.bincount(train.items, minlength=len(tower.learned))))


def _content(tower: nn.Module) -> nn.Module:
    return cast(ResidualTower, tower).content


CROSSAN_ID = Method(build_tower, _inputs, _prepare, crossan.CROSSAN.select_layers, content_tower=_content)
