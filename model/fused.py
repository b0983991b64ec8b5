"""Softmax cross-entropy over many candidates, fused with its gradient, so that no step holds the logits of all."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_LOGITS = {"cpu": 1 << 18}
"""Logits computed at once: on a CPU as many as its cache holds twice, elsewhere as many as keep the device busy."""
MANY_LOGITS = 1 << 26
LEAST_ROWS = 128
"""Fewer targets at once would read and write all vectors too often."""


class _FusedCrossEntropy(torch.autograd.Function):
    """Computes loss and gradients together, chunk by chunk; backward only scales them."""

    @staticmethod
    def forward(ctx: Any, users: Tensor, vectors: Tensor, targets: Tensor, window: Tensor, bias: Tensor) -> Tensor:
        """Takes users [p, d], vectors [c, d], targets [p], window [p, w] and bias [c]; returns the summed loss."""
        total = users.new_zeros((), dtype=torch.float32)
        users_gradient, vectors_gradient = torch.empty_like(users), torch.zeros_like(vectors)
        rows = max(CHUNK_LOGITS.get(users.device.type, MANY_LOGITS) // len(vectors), LEAST_ROWS)
        buffers = users.new_empty(2, min(rows, len(users)), len(vectors))
        for start in range(0, len(users), rows):
            part = slice(start, start + rows)
            chosen, own = targets[part, None], window[part]
            logits, errors = buffers[:, : len(chosen)]
            torch.addmm(bias, users[part], vectors.T, out=logits)
            kept = logits.gather(1, chosen)
            logits.scatter_(1, torch.where(own < 0, chosen, own), -torch.inf).scatter_(1, chosen, kept)
            torch.softmax(logits, dim=1, out=errors)
            # log Σ exp of all, from the likeliest one, whose probability never underflows: no second pass of exp.
            normaliser = logits.amax(dim=1) - errors.amax(dim=1).log()
            total += normaliser.sum() - kept.sum()
            # The gradient of a logit is the candidate's probability, less one for the target.
            errors.scatter_add_(1, chosen, -torch.ones_like(kept))
            torch.mm(errors, vectors, out=users_gradient[part])
            vectors_gradient.addmm_(errors.T, users[part])
        ctx.save_for_backward(users_gradient, vectors_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Takes the gradient of the sum."""
        users_gradient, vectors_gradient = ctx.saved_tensors
        return users_gradient * gradients[0], vectors_gradient * gradients[0], None, None, None


def fused_cross_entropy(users: Tensor, vectors: Tensor, targets: Tensor, *, window: Tensor, bias: Tensor) -> Tensor:
    """Returns the summed cross-entropy of p targets against c candidates, a scalar, always in float32.

    Args:
        users: states [p, d].
        vectors: candidate vectors [c, d].
        targets: int64 [p], candidate numbers.
        window: int64 [p, w], candidate numbers that do not compete for this position, except as its target; -1 for
            none.
        bias: added to each candidate's logits [c].
    """
    with torch.autocast(users.device.type, enabled=False):
        total: Tensor = _FusedCrossEntropy.apply(users.float(), vectors.float(), targets, window, bias.float())  # type: ignore[no-untyped-call]
    return total
