"""What of a network is trained: copies and states that leave frozen weights where they are."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def copy_sharing_frozen(network: Network) -> Network:
    """Returns a copy with trained weights and buffers of its own; frozen weights exist once for both."""
    frozen = {id(parameter): parameter for parameter in network.parameters() if not parameter.requires_grad}
    return copy.deepcopy(network, frozen)


def trained_pairs(first: nn.Module, second: nn.Module) -> list[tuple[nn.Parameter, nn.Parameter]]:
    """Returns the trained parameters of two copies of a network, side by side."""
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return [(one, other) for one, other in pairs if other.requires_grad]


def trained_state(network: nn.Module) -> dict[str, Tensor]:
    """Returns copies of the trained parameters and of the buffers, by name."""
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    return {name: tensor.clone() for name, tensor in network.state_dict().items() if name not in frozen}


def restore_state(network: nn.Module, state: dict[str, Tensor]) -> None:
    """Puts back what `trained_state` gave; the frozen weights stay.

    Raises:
        RuntimeError: of torch, when the state is of another network.
    """
    missing, unexpected = network.load_state_dict(state, strict=False)
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    if unexpected or set(missing) - frozen:
        raise RuntimeError(f"the state is of another network: {sorted({*unexpected, *missing} - frozen)[:3]}")
