import math

import torch
from torch import nn

from model.modules.adapters import SideAdapter


def test_adapter_is_the_equation() -> None:
    adapter = SideAdapter(2, 1, nn.GELU())
    with torch.no_grad():
        adapter.down.weight.copy_(torch.tensor([[1.0, 2.0]]))
        adapter.down.bias.fill_(0.5)
        adapter.up.weight.copy_(torch.tensor([[3.0], [-1.0]]))
    # W_down x = 1·1 + 2·(-1) + 0.5 = -0.5; gelu(y) = y · Phi(y).
    act = -0.5 * 0.5 * (1 + math.erf(-0.5 / math.sqrt(2)))
    expected = torch.tensor([[1 + 3 * act, -1 - act]])
    torch.testing.assert_close(adapter(torch.tensor([[1.0, -1.0]])), expected)


def test_adapter_starts_near_the_identity() -> None:
    torch.manual_seed(0)
    states = torch.randn(50, 64)
    moved = SideAdapter(64, 64, nn.GELU())(states) - states
    assert moved.norm() < 0.2 * states.norm()
