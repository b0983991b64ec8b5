"""Which of an encoder's stored states a method reads (PAPER section 2)."""

from __future__ import annotations

from collections.abc import Callable

from model.config import ModalityConfig, TrainingConfig


def select_layers(config: TrainingConfig, modality: ModalityConfig) -> list[int]:
    """Returns `side_layers` stored states of an encoder, by the rule `layer_choice`; state 0 is the embedding layer.

    An encoder with fewer layers than that gives some of them more than once, so that all encoders give l states.
    """
    return LAYER_CHOICES[config.tower.layer_choice](modality.layers_total - 1, config.tower.side_layers)


def last_layer(config: TrainingConfig, modality: ModalityConfig) -> list[int]:
    """Returns the last stored state alone."""
    return [modality.layers_total - 1]


def _group_ends(count: int, groups: int) -> list[int]:
    """Cuts 1..count into equal groups and returns the last number of each; 0s if there are none."""
    return [max(count * (group + 1) // groups, min(count, 1)) for group in range(groups)]


def _last(depth: int, groups: int) -> list[int]:
    return [max(depth - groups + group + 1, min(depth, 1)) for group in range(groups)]


def _first(depth: int, groups: int) -> list[int]:
    return [min(group + 1, depth) for group in range(groups)]


def _every_second(depth: int, groups: int) -> list[int]:
    """Returns layers among 1, 3, 5, …, evenly: all of them if there are as many as groups."""
    odd = [0, *range(1, depth + 1, 2)]
    return [odd[place] for place in _group_ends(len(odd) - 1, groups)]


LAYER_CHOICES: dict[str, Callable[[int, int], list[int]]] = {
    "groups": _group_ends,
    "last": _last,
    "first": _first,
    "second": _every_second,
}
"""By name, what takes an encoder's depth and l and returns l layers."""
