"""A head on each frozen encoder's last state (PAPER section 7): what adaptation has to beat."""

from __future__ import annotations

from torch import nn

from model.config import CatalogueShape, TrainingConfig
from model.methods.base import Method
from model.methods.fusions import build_fusion
from model.methods.layers import last_layer
from model.methods.states import calibrate, dimension_transformations, reads_states
from model.modules.fusion import ModalityDropout
from model.modules.state_tower import LastStates, StateTower


def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> StateTower:
    """Builds Linear → GELU for each modality's last state, and a fusion whose experts are linear."""
    tower = config.tower
    projections = dimension_transformations(tower, catalogue, layers=1)
    return StateTower(
        ModalityDropout(tower.modality_dropout),
        LastStates(projections, nn.GELU()),
        build_fusion(tower, len(projections), expert=lambda: nn.Linear(tower.side_width, tower.item_width)),
    )


FROZEN = Method(build_tower, reads_states(last_layer), calibrate, last_layer)
