"""What a method is to the trainer and the exporter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from model.config import CatalogueShape, ModalityConfig, TrainingConfig
from model.data.dataset import Dataset


class ItemInputs(Protocol):
    """Where the inputs of an item tower come from."""

    def gather(self, items: Tensor) -> tuple[Tensor, ...]:
        """Returns the positional inputs of the tower for items int64 [n]."""


@dataclass(frozen=True)
class Method:
    """One way to build an item tower, whose forward returns vectors [n, d_e] and shares [n, m].

    Attributes:
        build_tower: makes the network from configuration and catalogue.
        prepare: fits what is not trained, such as statistics of the states, on a sample of items: (tower, inputs of
            the sample).
        build_inputs: makes the reader of the tower's inputs: (config, dataset, device).
        select_layers: the stored layers that the tower reads of a modality; None when it reads no content, so that
            it knows only the items it was trained on and no `item_tower.onnx` is written.
    """

    build_tower: Callable[[TrainingConfig, CatalogueShape], nn.Module]
    build_inputs: Callable[[TrainingConfig, Dataset, str], ItemInputs]
    prepare: Callable[[nn.Module, tuple[Tensor, ...]], None]
    select_layers: Callable[[TrainingConfig, ModalityConfig], Sequence[int]] | None
