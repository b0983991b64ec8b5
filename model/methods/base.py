"""What a method is to the trainer and the exporter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model.config import CatalogueShape, ModalityConfig, TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.modules.user_encoder import UserEncoder


class ItemInputs(Protocol):
    """Where the inputs of an item tower come from."""

    def gather(self, items: Tensor) -> tuple[Any, ...]:
        """Returns the positional inputs of the tower for items int64 [n]."""


def hide_modality(inputs: tuple[Any, ...], column: int) -> tuple[Any, ...]:
    """Returns the inputs of a tower as if no item had the modality of a column.

    Which item has what is told by `present`, bool [n, m], wherever it stands: no other input has truth values.
    """

    def hidden(one: Any) -> Any:
        if not isinstance(one, Tensor) or one.dtype != torch.bool:
            return one
        kept = one.clone()
        kept[:, column] = False
        return kept

    return tuple(hidden(one) for one in inputs)


def same_tower(tower: nn.Module) -> nn.Module:
    """Returns the tower itself: it describes an item by its content alone."""
    return tower


def sequence_encoder(config: TrainingConfig) -> nn.Module:
    """Returns the user encoder that all methods share unless they say otherwise."""
    return UserEncoder(config.user_encoder, config.tower.item_width)


@dataclass(frozen=True)
class Method:
    """One way to build an item tower, whose forward returns vectors [n, w] and shares [n, m].

    Attributes:
        build_tower: makes the network from configuration and catalogue.
        build_inputs: makes the reader of the tower's inputs: (config, dataset, device).
        prepare: fits what is not trained, such as statistics of the states, on a sample of items: (tower, inputs of
            the sample, training events).
        select_layers: the stored layers that the tower reads of a modality; None when it reads no content, so that
            it knows only the items it was trained on and no `item_tower.onnx` is written.
        content_tower: the part of a trained tower that describes an item by content alone, (present, *states) to
            vectors and shares; it is what is exported, and what new items get their vector from.
        build_user_encoder: makes the user encoder, of the same width w: `forward` encodes every prefix, `last` whole
            sequences (see `model.modules.user_encoder.UserEncoder`).
        adapt: changes an encoder's network in place so that some of its weights train, for the methods that
            back-propagate through the encoders; None when the encoders stay as they are.
    """

    build_tower: Callable[[TrainingConfig, CatalogueShape], nn.Module]
    build_inputs: Callable[[TrainingConfig, Dataset, str], ItemInputs]
    prepare: Callable[[nn.Module, tuple[Any, ...], Interactions], None]
    select_layers: Callable[[TrainingConfig, ModalityConfig], Sequence[int]] | None
    content_tower: Callable[[nn.Module], nn.Module] = same_tower
    build_user_encoder: Callable[[TrainingConfig], nn.Module] = sequence_encoder
    adapt: Callable[[nn.Module, TrainingConfig], nn.Module] | None = None
