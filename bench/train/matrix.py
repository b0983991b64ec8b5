"""The matrix products of a piece of work, recorded by their shapes, and run again bare: what it can't do without."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
Layout = tuple[tuple[int, ...], tuple[int, ...]]
"""Sizes and strides of a tensor."""
Product = tuple[Layout, Layout]
FIRST_FACTOR = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1, aten.addmm_: 1, aten.baddbmm: 1}
"""Where among its arguments a product has its two factors."""
ATTENTION = aten._scaled_dot_product_flash_attention_for_cpu
ATTENTION_BACKWARD = aten._scaled_dot_product_flash_attention_for_cpu_backward


class MatrixWork(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every matrix product that is computed within, forward and backward."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products: list[Product] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note it if it multiplies matrices."""
        packet = func.overloadpacket
        if packet in FIRST_FACTOR:
            first = FIRST_FACTOR[packet]
            self._note(args[first], args[first + 1])
        elif packet is ATTENTION:
            self._note_attention(*args[:3])
        elif packet is ATTENTION_BACKWARD:
            self._note_attention_backward(*args[:4])
        return func(*args, **(kwargs or {}))

    def _note(self, first: Tensor, second: Tensor) -> None:
        self.products.append((_layout(first), _layout(second)))

    def _note_attention(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        """Q Kᵀ, and the weights with V; all [b, heads, s, d / heads]."""
        query, key, value = (one.flatten(0, 1) for one in (query, key, value))
        weights = query.new_empty(len(query), query.shape[1], key.shape[1])
        self._note(query, key.mT)
        self._note(weights, value)

    def _note_attention_backward(self, gradient: Tensor, query: Tensor, key: Tensor, value: Tensor) -> None:
        """Q Kᵀ once more, and the gradients of V, of the weights, of Q and of K."""
        gradient, query, key, value = (one.flatten(0, 1) for one in (gradient, query, key, value))
        weights = query.new_empty(len(query), query.shape[1], key.shape[1])
        pairs = ((query, key.mT), (weights.mT, gradient), (gradient, value.mT), (weights, key), (weights.mT, query))
        for first, second in pairs:
            self._note(first, second)

    def again(self) -> Callable[[], None]:
        """Return what computes the same products of other numbers."""
        operands = {layout: _filled(layout) for product in self.products for layout in product}
        pairs = [(operands[first], operands[second]) for first, second in self.products]

        def run() -> None:
            with torch.inference_mode():
                for first, second in pairs:
                    torch.matmul(first, second)

        return run

    @property
    def flops(self) -> Iterator[int]:
        """Floating-point operations of each product."""
        for (sizes, _), (others, _) in self.products:
            yield 2 * torch.Size(sizes).numel() * others[-1]


def _layout(tensor: Tensor) -> Layout:
    return tuple(tensor.shape), tuple(tensor.stride())


def _filled(layout: Layout) -> Tensor:
    sizes, strides = layout
    reach = 1 + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    return torch.randn(reach).as_strided(sizes, strides)
