"""The pieces an encoder is put together from: frontends, towers and pools, chosen by registries and not by branches."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from model.encoders.decode import Sample


class EncoderError(Exception):
    """An encoder cannot be loaded as configured, or its output cannot be used."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch for a tower.

    Attributes:
        inputs: tensors for its forward, by name; the first axis of each is b samples times v views.
        mask: [b * v, t] bool, the positions that are real and not padding; None when all are.
    """

    inputs: Mapping[str, Tensor]
    mask: Tensor | None = None


class Frontend(Protocol):
    """Turns samples into the tensors of one batch."""

    def bucket(self, sample: Sample) -> int:
        """Returns a number; only samples with the same one share a batch, because their tensors have one shape."""

    def size(self, sample: Sample) -> int:
        """Returns a length to sort by, so that a batch has little padding."""

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Returns the batch of these samples, on the CPU."""


Pool = Callable[[Tensor, Tensor | None], Tensor]
"""Pools one layer: hidden [b, t, d] and the mask of real positions [b, t] or None -> [b, d]."""


@dataclass(frozen=True, slots=True)
class MeanPool:
    """Averages over the real positions.

    Attributes:
        skip: leading positions that are not content (class tokens and registers); the mask does not cover them.
    """

    skip: int = 0

    def __call__(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Hidden [b, skip + t, d], mask [b, t] -> [b, d]."""
        content = hidden[:, self.skip :]
        if mask is None:
            return content.mean(dim=1)
        weights = mask.to(content.dtype).unsqueeze(-1)
        return (content * weights).sum(dim=1) / weights.sum(dim=1)


def first_pool(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Takes the first position, the class token: [b, t, d] -> [b, d]."""
    return hidden[:, 0]


def last_pool(hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Takes the last real position, on whichever side the padding is: [b, t, d], mask [b, t] -> [b, d]."""
    if mask is None:
        return hidden[:, -1]
    last = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]


@dataclass(frozen=True, slots=True)
class Parts:
    """An encoder taken apart.

    Attributes:
        tower: the frozen network; its output has `hidden_states`.
        frontend: makes its batches.
        pool: pools one layer's hidden state.
        example: a sample that exercises the longest input.
        arguments: further arguments of the tower's forward.
        views: how many rows of the tower's batch belong to one sample; their pooled states are averaged.
        layers: which of its hidden states are stored, as in `EncoderSpec`; None for all.
    """

    tower: nn.Module
    frontend: Frontend
    pool: Pool
    example: Sample
    arguments: Mapping[str, Any] = field(default_factory=dict)
    views: int = 1
    layers: tuple[int, ...] | None = None

    def stored(self, hidden_states: Sequence[Tensor]) -> Sequence[Tensor]:
        """Returns those of a tower's hidden states that are stored.

        Raises:
            EncoderError: the tower has no such layers.
        """
        if self.layers is None:
            return hidden_states
        return [hidden_states[layer] for layer in resolve_layers(self.layers, len(hidden_states))]


def resolve_layers(layers: Sequence[int], count: int) -> list[int]:
    """Returns the numbers of the hidden states to store, counted from the embeddings.

    Args:
        layers: as in `EncoderSpec`; negative ones count from the end.
        count: hidden states that there are.

    Raises:
        EncoderError: some are not there, or they do not ascend.
    """
    if not all(-count <= layer < count for layer in layers):
        raise EncoderError(f"layers: {list(layers)} of {count} hidden states, which are {-count}..{count - 1}")
    places = [layer % count for layer in layers]
    if places != sorted(set(places)):
        raise EncoderError(f"layers: {list(layers)} of {count} hidden states are {places}, which do not ascend")
    return places


def model_type(folder: Path) -> str:
    """Reads the architecture's name from a folder's config.json.

    Args:
        folder: a Hugging Face folder.

    Raises:
        EncoderError: there is none.
    """
    try:
        return str(json.loads((folder / "config.json").read_text())["model_type"])
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{folder} has no config.json with a model_type") from error
