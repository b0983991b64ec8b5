"""CROSSAN (PAPER sections 4 and 5): cross-modal side adapters beside frozen encoders, fused by modality experts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor, nn

from model.config import CatalogueShape, ModalityConfig, TowerConfig, TrainingConfig
from model.data.dataset import Dataset
from model.data.features import StateInputs
from model.methods.base import Method
from model.modules.adapters import SideAdapter
from model.modules.cross_modal import AdaptedLinks, CrossModalSideNetwork, RawLinks, SideLayer
from model.modules.fusion import ModalityDropout, ModalityExpertFusion
from model.modules.projection import DimensionTransformation

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "relu": nn.ReLU}
LINKS: dict[str, Callable[[], nn.Module | None]] = {"adapted": AdaptedLinks, "raw": RawLinks, "none": lambda: None}


class SideItemTower(nn.Module):
    """Cached hidden states of every modality → side network → fusion."""

    def __init__(self, modality_dropout: nn.Module, side_network: CrossModalSideNetwork, fusion: nn.Module) -> None:
        super().__init__()
        self.modality_dropout = modality_dropout
        self.side_network = side_network
        self.fusion = fusion

    def forward(self, present: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """Takes present bool [n, m] and m states [n, l, D_k]; returns vectors [n, d_e] and shares [n, m]."""
        kept = self.modality_dropout(present)
        fused: tuple[Tensor, Tensor] = self.fusion(self.side_network(kept, states), kept)
        return fused


def select_layers(config: TrainingConfig, modality: ModalityConfig) -> list[int]:
    """Group layer-dropping: cuts the encoder's layers into l equal groups and takes the last layer of each.

    State 0 is the embedding layer. An encoder with fewer layers than groups gives some of them more than once.
    """
    depth, groups = modality.layers_total - 1, config.tower.side_layers
    return [max(depth * (group + 1) // groups, min(depth, 1)) for group in range(groups)]


def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> SideItemTower:
    """Builds the item tower for any mix of modalities."""
    tower = config.tower
    modalities = len(catalogue.modalities)
    projections = [
        DimensionTransformation(modality.width, tower.side_width, tower.side_layers, tower.state_dropout)
        for modality in catalogue.modalities
    ]
    layers = [
        SideLayer(_adapters(tower, modalities), LINKS[tower.cross_path](), tower.gate_temperature)
        for _ in range(tower.side_layers)
    ]
    fusion = ModalityExpertFusion(
        [_expert(tower) for _ in range(modalities)],
        nn.Linear(modalities * tower.side_width, modalities),
        tower.item_width,
    )
    return SideItemTower(ModalityDropout(tower.modality_dropout), CrossModalSideNetwork(projections, layers), fusion)


def _adapters(tower: TowerConfig, count: int) -> Sequence[nn.Module]:
    """Returns one adapter for each modality, or the same one for all."""

    def adapter() -> nn.Module:
        return SideAdapter(tower.side_width, tower.bottleneck, ACTIVATIONS[tower.activation]())

    return [adapter()] * count if tower.shared_adapters else [adapter() for _ in range(count)]


def _expert(tower: TowerConfig) -> nn.Module:
    if tower.expert == "linear":
        return nn.Linear(tower.side_width, tower.item_width)
    return nn.Sequential(
        nn.Linear(tower.side_width, tower.side_width),
        ACTIVATIONS[tower.activation](),
        nn.Linear(tower.side_width, tower.item_width),
    )


def _inputs(config: TrainingConfig, dataset: Dataset, device: str) -> StateInputs:
    return StateInputs(dataset, [select_layers(config, table.config) for table in dataset.features], device=device)


def _prepare(tower: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Lets every projection see the states of a sample of items."""
    present, *states = inputs
    projections = cast(SideItemTower, tower).side_network.projections
    for column, (projection, part) in enumerate(zip(projections, states, strict=True)):
        cast(DimensionTransformation, projection).calibrate(part[present[:, column]])


CROSSAN = Method(build_tower, _inputs, _prepare, select_layers)
