"""The fused loss against the plain one of PyTorch's own operations, which has a reference of its own."""

import pytest
import torch
from torch import Tensor

from model import fused
from model.losses import Positions, softmax_loss, summed_softmax

POSITIONS, CANDIDATES, WIDTH = 37, 23, 6


def _case() -> tuple[Tensor, Tensor, Positions]:
    torch.manual_seed(0)
    users = torch.randn(POSITIONS, WIDTH, requires_grad=True)
    vectors = torch.randn(CANDIDATES, WIDTH, requires_grad=True)
    targets = torch.randint(CANDIDATES, (POSITIONS,))
    window = torch.randint(-1, CANDIDATES, (POSITIONS, 5))
    return users, vectors, Positions(users, vectors, targets, window)


@pytest.mark.parametrize("chunk", [1, 7 * CANDIDATES, 1 << 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_gradients_are_those_of_the_plain_one(
    chunk: int, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fused.CHUNK_LOGITS, "cpu", chunk)
    monkeypatch.setattr(fused, "LEAST_ROWS", 1)
    users, vectors, positions = _case()
    weights = torch.linspace(-1, 2, CANDIDATES) if weighted else None
    expected = softmax_loss(positions, weights).sum()
    wanted = torch.autograd.grad(expected / 3, (users, vectors))
    found = summed_softmax(positions, weights)
    got = torch.autograd.grad(found / 3, (users, vectors))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_half_precision_inputs_are_computed_in_float32() -> None:
    users, vectors, positions = _case()
    half = Positions(users.bfloat16(), vectors.bfloat16(), positions.targets, positions.window)
    rounded = Positions(users.bfloat16().float(), vectors.bfloat16().float(), positions.targets, positions.window)
    with torch.autocast("cpu", torch.bfloat16):
        found = summed_softmax(half)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(softmax_loss(rounded).sum().item(), rel=1e-5)


def test_a_target_of_no_probability_has_a_loss_all_the_same() -> None:
    """Logits 0 and 300: exp(-300) is no float32, but the loss is 300 + log(1 + e^-300) = 300."""
    users, vectors = torch.ones(1, 1), torch.tensor([[0.0], [300.0]])
    positions = Positions(users, vectors, torch.tensor([0]), torch.tensor([[-1]]))
    assert summed_softmax(positions).item() == pytest.approx(300.0)
