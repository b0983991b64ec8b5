"""CROSSAN (PAPER sections 4 and 5): cross-modal side adapters beside frozen encoders, fused by modality experts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from model.config import CatalogueShape, TowerConfig, TrainingConfig
from model.methods.base import Method
from model.methods.fusions import build_fusion
from model.methods.interest_groups import with_interest_groups
from model.methods.layers import select_layers
from model.methods.states import ACTIVATIONS, calibrate, dimension_transformations, reads_states
from model.modules.adapters import SideAdapter
from model.modules.cross_modal import AdaptedLinks, CrossModalSideNetwork, LowRankMaps, RawLinks, SideLayer
from model.modules.fusion import ModalityDropout
from model.modules.state_tower import StateTower

LINKS: dict[str, Callable[[], nn.Module | None]] = {"adapted": AdaptedLinks, "raw": RawLinks, "none": lambda: None}


def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> StateTower:
    """Builds the item tower for any mix of modalities."""
    tower = config.tower
    modalities = len(catalogue.modalities)
    projections = dimension_transformations(tower, catalogue, layers=tower.side_layers)
    layers = [_layer(tower, modalities) for _ in range(tower.side_layers)]
    return StateTower(
        ModalityDropout(tower.modality_dropout),
        CrossModalSideNetwork(projections, layers),
        build_fusion(tower, modalities, expert=partial(_expert, tower)),
    )


def _layer(tower: TowerConfig, modalities: int) -> SideLayer:
    maps = LowRankMaps(modalities, tower.side_width, tower.link_rank) if tower.link_rank else None
    return SideLayer(_adapters(tower, modalities), LINKS[tower.cross_path](), tower.gate_temperature, maps=maps)


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


CROSSAN = with_interest_groups(Method(build_tower, reads_states(select_layers), calibrate, select_layers))
