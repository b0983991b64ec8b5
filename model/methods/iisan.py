"""IISAN and IISAN-Versa (PAPER section 3): intra- and inter-modal side adapters beside frozen encoders."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from model.config import CatalogueShape, TowerConfig, TrainingConfig
from model.data.dataset import TrainingDataError
from model.methods.base import Method
from model.methods.layers import select_layers
from model.methods.states import ACTIVATIONS, calibrate, dimension_transformations, reads_states
from model.modules.adapters import SideAdapter
from model.modules.cross_modal import SideLayer
from model.modules.fusion import ModalityDropout
from model.modules.intra_inter import InterModalLayer, IntraInterSideNetwork, TowerEnds
from model.modules.projection import Standardisation
from model.modules.state_tower import StateTower


def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> StateTower:
    """Builds IISAN's towers in the encoders' own width.

    Raises:
        TrainingDataError: the encoders differ in width.
    """
    tower = config.tower
    widths = {modality.width for modality in catalogue.modalities}
    if len(widths) > 1:
        named = ", ".join(f"{modality.name} {modality.width}" for modality in catalogue.modalities)
        raise TrainingDataError(f"iisan needs encoders of one width, found {named}; iisan-versa takes any widths")
    width = widths.pop()
    projections = [Standardisation(width, tower.side_layers, tower.state_dropout) for _ in catalogue.modalities]
    return _assembled(tower, projections, width)


def build_versa_tower(config: TrainingConfig, catalogue: CatalogueShape) -> StateTower:
    """Builds the same towers in the width `side_width`, behind a dimension transformation of each encoder."""
    tower = config.tower
    projections = dimension_transformations(tower, catalogue, layers=tower.side_layers)
    return _assembled(tower, projections, tower.side_width)


def _assembled(tower: TowerConfig, projections: Sequence[nn.Module], width: int) -> StateTower:
    modalities = len(projections)

    def adapter() -> SideAdapter:
        return SideAdapter(width, tower.bottleneck, ACTIVATIONS[tower.activation]())

    tau = tower.gate_temperature
    layers = range(tower.side_layers)
    intra = [SideLayer([adapter() for _ in range(modalities)], None, tau) for _ in layers]
    inter = [InterModalLayer(adapter(), modalities, tau) for _ in layers]
    heads = [nn.Linear(width, tower.item_width) for _ in range(modalities + 1)]
    return StateTower(
        ModalityDropout(tower.modality_dropout),
        IntraInterSideNetwork(projections, intra, inter),
        TowerEnds(heads, nn.Linear((modalities + 1) * tower.item_width, tower.item_width)),
    )


IISAN = Method(build_tower, reads_states(select_layers), calibrate, select_layers)
IISAN_VERSA = Method(build_versa_tower, reads_states(select_layers), calibrate, select_layers)
