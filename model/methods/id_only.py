"""SASRec on item numbers: no content, the same everything else, so the honest comparison."""

from __future__ import annotations

from torch import Tensor, nn

from model.config import CatalogueShape, TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.data.features import NumberInputs
from model.methods.base import Method


class NumberTower(nn.Module):
    """A learned vector for each item."""

    def __init__(self, item_count: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(item_count, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Takes items int64 [n]; returns vectors [n, d_e] and shares [n, 0], since there are no modalities."""
        vectors: Tensor = self.norm(self.table(items))
        return vectors, vectors.new_zeros(len(items), 0)


def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> NumberTower:
    """Builds the table of item vectors."""
    return NumberTower(catalogue.item_count, config.tower.item_width)


def _inputs(config: TrainingConfig, dataset: Dataset, device: str) -> NumberInputs:
    return NumberInputs(device=device)


def _prepare(tower: nn.Module, inputs: tuple[Tensor, ...], train: Interactions) -> None:
    """Does nothing: all of a number's vector is trained."""


ID_ONLY = Method(build_tower, _inputs, _prepare, select_layers=None)
