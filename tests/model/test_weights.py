"""Copies and states that leave frozen weights where they are."""

import pytest
import torch
from torch import nn

from model.weights import copy_sharing_frozen, restore_state, trained_pairs, trained_state


@pytest.fixture
def network() -> nn.Sequential:
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    made[0].weight.requires_grad_(False)
    return made


def test_a_copy_shares_frozen_weights_alone(network: nn.Sequential) -> None:
    copied = copy_sharing_frozen(network)
    assert copied[0].weight is network[0].weight
    assert copied[0].bias is not network[0].bias
    assert copied[1].running_mean is not network[1].running_mean
    torch.testing.assert_close(copied.state_dict(), network.state_dict())
    # Of the Linear the bias, of the norm weight and bias.
    assert [tuple(one.shape) for one, _ in trained_pairs(copied, network)] == [(2,)] * 3


def test_a_state_has_what_trains_and_the_buffers(network: nn.Sequential) -> None:
    state = trained_state(network)
    assert set(state) == {"0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"}
    with torch.no_grad():
        network[0].bias.add_(1)
    assert not torch.equal(state["0.bias"], network[0].bias)
    restore_state(network, state)
    torch.testing.assert_close(network[0].bias.detach(), state["0.bias"])


def test_the_state_of_another_network_is_refused(network: nn.Sequential) -> None:
    state = trained_state(network)
    with pytest.raises(RuntimeError, match="another network"):
        restore_state(network, {**state, "2.bias": torch.zeros(2)})
    del state["1.bias"]
    with pytest.raises(RuntimeError, match=r"1\.bias"):
        restore_state(network, state)
