"""Next-item cross-entropy over the items of a batch or over the whole catalogue, without a loop over users."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def excluded_candidates(inputs: Tensor, targets: Tensor, candidates: int) -> Tensor:
    """Marks what a user has in the window, bool [b, c]; inputs and targets [b, s] are candidate numbers or -1."""
    marks = torch.zeros(len(inputs), candidates + 1, dtype=torch.bool, device=inputs.device)
    rows = torch.arange(len(inputs), device=inputs.device)[:, None]
    marks[rows, inputs] = True
    marks[rows, targets] = True
    return marks[:, :-1]


def next_item_loss(
    users: Tensor, vectors: Tensor, targets: Tensor, *, log_popularity: Tensor | None, excluded: Tensor | None
) -> Tensor:
    """Cross-entropy of each target against all candidates (PAPER section 6).

    logits[(u, t), i] = u_t · e_i - log p_i, with the items of the user's window left out, except the target.

    With every item of the catalogue as candidate and no correction this is the full softmax. With the items of the
    batch as candidates, popular ones are there too often, which -log p_i takes back.

    Args:
        users: states u [b, s, d].
        vectors: candidate vectors e [c, d].
        targets: int64 [b, s], candidate numbers, -1 where there is none.
        log_popularity: log p [c], or None.
        excluded: bool [b, c], or None.

    Returns:
        The mean over all targets, a scalar.
    """
    real = targets >= 0
    chosen = targets[real]
    logits = users[real] @ vectors.T
    if log_popularity is not None:
        logits = logits - log_popularity
    if excluded is not None:
        hidden = excluded[real.nonzero()[:, 0]].scatter(1, chosen[:, None], False)
        logits = logits.masked_fill(hidden, -torch.inf)
    return functional.cross_entropy(logits.float(), chosen)
