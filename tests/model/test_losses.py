import math

import pytest
import torch
from torch import Tensor

from model.losses import next_item_loss

NOTHING = torch.full((2, 1), -1)


def _reference(users: Tensor, vectors: Tensor, targets: Tensor, inputs: Tensor, log_p: list[float]) -> float:
    """PAPER section 6, one term at a time: -log softmax of u·e - log p over what the user has not got."""
    terms = []
    for b, row in enumerate(targets.tolist()):
        for t, target in enumerate(row):
            if target < 0:
                continue
            own = {item for item in inputs[b].tolist() + row if item >= 0} - {target}
            logit = {
                i: sum(float(x) * float(y) for x, y in zip(users[b, t], vectors[i], strict=True)) - log_p[i]
                for i in range(len(vectors))
                if i not in own
            }
            terms.append(math.log(sum(math.exp(one) for one in logit.values())) - logit[target])
    return sum(terms) / len(terms)


def test_in_batch_loss_is_the_equation() -> None:
    torch.manual_seed(0)
    users, vectors = torch.randn(3, 4, 5), torch.randn(8, 5)
    inputs = torch.tensor([[-1, -1, 0, 1], [2, 3, 4, 5], [-1, -1, -1, 6]])
    targets = torch.tensor([[-1, -1, 1, 2], [3, 4, 5, 7], [-1, -1, -1, 0]])
    popularity = torch.tensor([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05])
    found = next_item_loss(
        users,
        vectors,
        targets,
        window=torch.cat([inputs, targets[:, -1:]], dim=1),
        log_popularity=popularity.log(),
    )
    expected = _reference(users, vectors, targets, inputs, popularity.log().tolist())
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_full_softmax_is_the_equation_without_correction() -> None:
    torch.manual_seed(1)
    users, vectors = torch.randn(2, 3, 4), torch.randn(6, 4)
    targets = torch.tensor([[-1, 1, 2], [3, 4, 5]])
    terms = []
    for b, t in [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]:
        scores = [float(users[b, t] @ vector) for vector in vectors]
        terms.append(math.log(sum(map(math.exp, scores))) - scores[int(targets[b, t])])
    found = next_item_loss(users, vectors, targets, window=NOTHING, log_popularity=None)
    assert float(found) == pytest.approx(sum(terms) / 5, abs=1e-5)


def test_padding_has_no_gradient() -> None:
    users = torch.randn(1, 3, 4, requires_grad=True)
    loss = next_item_loss(users, torch.randn(5, 4), torch.tensor([[-1, -1, 2]]), window=NOTHING, log_popularity=None)
    torch.autograd.backward(loss)
    assert users.grad is not None
    assert users.grad[0, :2].abs().sum() == 0
    assert users.grad[0, 2].abs().sum() > 0
