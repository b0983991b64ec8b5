"""What the methods over stored states share: the reader of their inputs, and the calibration of their projections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import nn

from model.config import CatalogueShape, ModalityConfig, TowerConfig, TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.data.features import StateInputs
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
