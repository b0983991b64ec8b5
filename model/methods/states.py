"""What the methods over stored states share: the reader of their inputs, and the calibration of their projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from model.config import CatalogueShape, ModalityConfig, TowerConfig, TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.data.features import StateInputs
from model.methods.base import ItemInputs
from model.methods.numbered import NumberedInputs
from model.modules.interest_groups import Router
from model.modules.projection import DimensionTransformation, Standardisation
from model.modules.state_tower import StateTower

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}

LayerSelection = Callable[[TrainingConfig, ModalityConfig], Sequence[int]]


def reads_states(select: LayerSelection) -> Callable[[TrainingConfig, Dataset, str], StateInputs]:
    """Returns what builds the reader of the selected states."""

    def build_inputs(config: TrainingConfig, dataset: Dataset, device: str) -> StateInputs:
        return StateInputs(dataset, [select(config, table.config) for table in dataset.features], device=device)

    return build_inputs


def calibrate(tower: nn.Module, inputs: tuple[Any, ...], train: Interactions) -> None:
    """Shows every projection of a `StateTower` the states of a sample of items: inputs are (present, *states)."""
    present, *states = inputs
    projections = cast(StateTower, tower).reader.projections
    for column, (projection, part) in enumerate(zip(projections, states, strict=True)):
        cast(Standardisation, projection).calibrate(part[present[:, column]])


def dimension_transformations(
    tower: TowerConfig, catalogue: CatalogueShape, *, layers: int
) -> list[DimensionTransformation]:
    """Returns the map to `side_width` of each modality's selected states."""
    return [
        DimensionTransformation(modality.width, tower.side_width, layers, tower.state_dropout)
        for modality in catalogue.modalities
    ]


def standardise_ahead(tower: nn.Module, inputs: ItemInputs) -> None:
    """Standardises states that are held in memory once, instead of in each step; the tower expects them so then.

    Nothing of it is trained, so nothing changes but the time. A tower that reads the states elsewhere, too, is left
    alone. `expect_raw` takes it back.
    """
    content = inputs.content if isinstance(inputs, NumberedInputs) else inputs
    found = _standardisations(tower)
    if not found or not isinstance(content, StateInputs) or any(isinstance(one, Router) for one in tower.modules()):
        return
    with torch.no_grad():
        done = content.rewrite([partial(_standardised, one) for one in found])
    for one in found:
        one.is_done = done


def _standardised(projection: Standardisation, states: Tensor) -> Tensor:
    """Takes and returns states [n, l, D_k]."""
    return projection.standardised(states).transpose(0, 1)


def expect_raw(tower: nn.Module) -> None:
    """Makes a tower expect states as they are stored again."""
    for one in _standardisations(tower):
        one.is_done = False


def _standardisations(tower: nn.Module) -> list[Standardisation]:
    """Returns the projections of a tower, one for each modality, in their order."""
    return [module for module in tower.modules() if isinstance(module, Standardisation)]
