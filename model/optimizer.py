"""The optimiser of a training: its groups of parameters, and its state as named tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from model.config import OptimisationConfig

ENCODERS = "tower.encoders."
"""Where the parameters of encoders are found in a network that trains them."""


def parameter_groups(network: nn.Module, wanted: OptimisationConfig) -> list[dict[str, Any]]:
    """Weight decay for matrices; none for biases, norms, positions and the scalars of the gates.

    What is trained inside an encoder has a learning rate of its own: `rate` is what the schedule is multiplied by.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (name.endswith("weight") and parameter.ndim > 1, name.startswith(ENCODERS))
            groups.setdefault(key, []).append(parameter)
    inside = wanted.encoder_learning_rate / wanted.learning_rate
    return [
        {"params": parameters, "weight_decay": wanted.weight_decay * decays, "rate": inside if encoder else 1.0}
        for (decays, encoder), parameters in groups.items()
    ]


def trained_parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Returns what an optimiser changes."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns the moments and step counts as "number.name", the parameters being numbered."""
    state: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    return {f"{number}.{name}": tensor for number, one in state.items() for name, tensor in one.items()}


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
