"""The fusions by name: what the option `fusion` builds (PAPER section 5)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from model.config import TowerConfig
from model.modules.fusion import ConcatFusion, GatedFusion, MeanFusion, ModalityExpertFusion, TopOne

Expert = Callable[[], nn.Module]
"""Makes one expert, side_width to item_width."""


def build_fusion(tower: TowerConfig, modalities: int, *, expert: Expert) -> nn.Module:
    """Builds the fusion that `tower.fusion` names."""
    return _FUSIONS[tower.fusion](tower, modalities, expert)


def _gate(tower: TowerConfig, modalities: int) -> nn.Linear:
    return nn.Linear(modalities * tower.side_width, modalities)


def _experts(tower: TowerConfig, modalities: int, expert: Expert) -> nn.Module:
    experts = [expert() for _ in range(modalities)]
    return ModalityExpertFusion(experts, _gate(tower, modalities), tower.item_width, nn.Identity())


def _top_one(tower: TowerConfig, modalities: int, expert: Expert) -> nn.Module:
    experts = [expert() for _ in range(modalities)]
    return ModalityExpertFusion(experts, _gate(tower, modalities), tower.item_width, TopOne())


def _gated(tower: TowerConfig, modalities: int, expert: Expert) -> nn.Module:
    return GatedFusion(_gate(tower, modalities), nn.Linear(tower.side_width, tower.item_width))


def _mean(tower: TowerConfig, modalities: int, expert: Expert) -> nn.Module:
    return MeanFusion(nn.Linear(tower.side_width, tower.item_width))


def _concat(tower: TowerConfig, modalities: int, expert: Expert) -> nn.Module:
    return ConcatFusion(nn.Linear(modalities * tower.side_width, tower.item_width))


_FUSIONS: dict[str, Callable[[TowerConfig, int, Expert], nn.Module]] = {
    "experts": _experts,
    "concat": _concat,
    "mean": _mean,
    "gated": _gated,
    "top1": _top_one,
}
