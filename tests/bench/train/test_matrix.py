"""What a step multiplies, counted by hand."""

import torch
from torch import nn
from torch.nn import functional

from bench.train.matrix import MatrixWork


def test_a_linear_layer_has_one_product_forward_and_two_backward() -> None:
    layer, states = nn.Linear(5, 7), torch.randn(3, 5, requires_grad=True)
    with MatrixWork() as work:
        layer(states).sum().backward()
    # [3, 5] x [5, 7]; its gradients have the sizes of [3, 5] and of [5, 7], each with 3·5·7 multiplications.
    assert len(work.products) == 3
    assert list(work.flops) == [2 * 3 * 5 * 7] * 3
    work.again()()


def test_attention_has_two_products_forward_and_five_backward() -> None:
    users, heads, steps, width = 2, 3, 4, 8
    parts = [torch.randn(users, heads, steps, width, requires_grad=True) for _ in range(3)]
    with MatrixWork() as work:
        functional.scaled_dot_product_attention(*parts).sum().backward()
    assert list(work.flops) == [2 * users * heads * steps * steps * width] * 7
    work.again()()


def test_what_multiplies_no_matrices_is_not_noted() -> None:
    with MatrixWork() as work:
        (torch.randn(3, 3) * 2).softmax(dim=1).sum()
    assert work.products == []
