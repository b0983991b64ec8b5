"""The losses of a training step, by name: what a target competes with, and what it costs to rank it below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from model.config import OptimisationConfig
from model.data.batch import Batch
from model.fused import fused_cross_entropy
from model.negatives import SAMPLERS, Drawn, UniformSampler

FULL_SOFTMAX_ITEMS = 5_000


@dataclass(frozen=True)
class Positions:
    """The p positions of a step that have a target, and what they are compared with.

    Attributes:
        users: states u [p, d], divided by the temperature.
        vectors: candidate vectors e [c, d].
        targets: int64 [p], candidate numbers.
        window: int64 [p, w], the candidate numbers that each position's user has, -1 for none.
    """

    users: Tensor
    vectors: Tensor
    targets: Tensor
    window: Tensor


def softmax_loss(positions: Positions, log_weights: Tensor | None = None, *, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of each target against all candidates (PAPER section 6), [p].

    logits[p, i] = u_p · e_i + log w_i, with the items of the user's window left out, except the target.

    With every item of the catalogue as candidate and no weights this is the full softmax. With the items of the batch
    as candidates, popular ones are there too often, which log w = -log p, p an item's share of the events, takes back
    (Yi et al., Sampling-Bias-Corrected Neural Modeling, RecSys 2019, equation 3).
    """
    chosen = positions.targets[:, None]
    logits = (positions.users @ positions.vectors.T).float()
    if log_weights is not None:
        logits = logits + log_weights
    with torch.no_grad():
        # In place and unseen by autograd: what is left out has probability zero, and so no gradient to stop.
        kept = logits.gather(1, chosen)
        own = torch.where(positions.window < 0, chosen, positions.window)
        logits.scatter_(1, own, -torch.inf).scatter_(1, chosen, kept)
    return _cross_entropy(logits, positions.targets, smoothing)


def summed_softmax(positions: Positions, log_weights: Tensor | None = None, *, smoothing: float = 0.0) -> Tensor:
    """Returns the sum of `softmax_loss`; without smoothing by the fused way, which keeps no logits."""
    if smoothing:
        return softmax_loss(positions, log_weights, smoothing=smoothing).sum()
    bias = positions.vectors.new_zeros(len(positions.vectors)) if log_weights is None else log_weights
    return fused_cross_entropy(
        positions.users, positions.vectors, positions.targets, window=positions.window, bias=bias
    )


def sampled_softmax_loss(
    positions: Positions, negatives: Tensor, log_weights: Tensor, *, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of each target against itself and sampled negatives, [p].

    The negatives' sum, weighted by w_i = 1 / Q(i) with Q the expected times that i is drawn, stands for the sum over
    the catalogue without the target; the target, always there, has weight 1 (Bengio and Senécal, Adaptive Importance
    Sampling, 2008, equation 8). With the whole catalogue drawn this is the full softmax.

    Args:
        positions: the targets and what they are compared with.
        negatives: int64 [k], candidate numbers, all different.
        log_weights: log w [k].
        smoothing: how much of the target's probability is spread evenly over what competes.
    """
    scores = _negative_scores(positions, negatives) + log_weights
    logits = torch.cat([_target_scores(positions)[:, None], scores], dim=1)
    return _cross_entropy(logits, torch.zeros_like(positions.targets), smoothing)


def gbce_loss(positions: Positions, negatives: Tensor, *, beta: float) -> Tensor:
    """Generalised binary cross-entropy (Petrov and Macdonald, gSASRec, arXiv 2308.07192, equation 10), [p].

    -(log σ(s+)^β + sum_i log(1 - σ(s_i))) / (k + 1), over k negatives of which those in the user's window are left out.

    Args:
        positions: the targets and what they are compared with.
        negatives: int64 [k], candidate numbers, all different.
        beta: from `gbce_beta`.
    """
    positive = beta * functional.softplus(-_target_scores(positions))
    negative = functional.softplus(_negative_scores(positions, negatives)).sum(dim=1)
    return (positive + negative) / (len(negatives) + 1)


def gbce_beta(negatives: int, catalogue: int, calibration: float) -> float:
    """Returns β = α (t (1 - 1/α) + 1/α), with the sampling rate α = k / (n - 1) (arXiv 2308.07192, section 5.2).

    t = 0 is plain binary cross-entropy (β = 1); with t = 1 the scores are those of an unsampled one (β = α).
    """
    rate = min(negatives / max(catalogue - 1, 1), 1.0)
    return rate * (calibration * (1 - 1 / rate) + 1 / rate)


def _cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Returns the cross-entropy [p]; smoothing goes evenly to what is not left out, so never to a -inf."""
    if not smoothing:
        return functional.cross_entropy(logits, targets, reduction="none")
    log_probability = functional.log_softmax(logits, dim=1)
    competes = logits > -torch.inf
    spread = torch.where(competes, log_probability, 0.0).sum(dim=1) / competes.sum(dim=1)
    hit = log_probability.gather(1, targets[:, None])[:, 0]
    return -(1 - smoothing) * hit - smoothing * spread


def _target_scores(positions: Positions) -> Tensor:
    """Returns u · e of each position and its target, [p]."""
    targets = functional.embedding(positions.targets, positions.vectors)
    return (positions.users * targets).sum(dim=1).float()


def _negative_scores(positions: Positions, negatives: Tensor) -> Tensor:
    """Returns u · e of each position and negative [p, k], -inf for the user's own items and the target."""
    scores = (positions.users @ positions.vectors[negatives].T).float()
    count = len(negatives)
    # The column of each candidate; the one more column takes what is no negative, and -1.
    column = torch.full((len(positions.vectors) + 1,), count, device=scores.device)
    column[negatives] = torch.arange(count, device=scores.device)
    own = torch.cat([positions.window, positions.targets[:, None]], dim=1)
    left_out = torch.zeros(len(scores), count + 1, dtype=torch.bool, device=scores.device)
    left_out.scatter_(1, column[own], True)
    return scores.masked_fill(left_out[:, :count], -torch.inf)


@dataclass(frozen=True)
class Candidates:
    """The items that a step describes, and what its loss does with them.

    Attributes:
        items: int64 [c], ascending.
        loss: the summed loss of all positions.
    """

    items: NDArray[np.int64]
    loss: Callable[[Positions], Tensor]


class Loss(Protocol):
    """One way to choose the candidates of a batch."""

    def candidates(self, batch: Batch, rng: np.random.Generator) -> Candidates:
        """Returns them; all of the batch's items are among them."""


@dataclass(frozen=True)
class Catalogue:
    """What the losses know of the items, and of where tensors live.

    Attributes:
        items: int64 [n], those that can be recommended, ascending.
        events: int64 [all items], training events of each.
        device: as torch names it.
    """

    items: NDArray[np.int64]
    events: NDArray[np.int64]
    device: str

    def tensor(self, array: NDArray[np.int64] | NDArray[np.float32]) -> Tensor:
        """Puts an array on the device."""
        return torch.from_numpy(array).to(self.device)


class FullSoftmax:
    """All of the catalogue competes."""

    def __init__(self, catalogue: Catalogue, wanted: OptimisationConfig) -> None:
        self._items = catalogue.items
        self._smoothing = wanted.label_smoothing

    def candidates(self, batch: Batch, rng: np.random.Generator) -> Candidates:
        """Returns the catalogue."""
        return Candidates(self._items, lambda positions: summed_softmax(positions, smoothing=self._smoothing))


class InBatchSoftmax:
    """The items of the batch compete, corrected by their popularity."""

    def __init__(self, catalogue: Catalogue, wanted: OptimisationConfig) -> None:
        self._catalogue = catalogue
        self._smoothing = wanted.label_smoothing
        events = catalogue.events
        self._log_popularity = np.log(np.maximum(events, 1) / events.sum()).astype(np.float32)

    def candidates(self, batch: Batch, rng: np.random.Generator) -> Candidates:
        """Returns the batch's items."""
        items = batch.items()
        weights = self._catalogue.tensor(-self._log_popularity[items])
        return Candidates(items, lambda positions: summed_softmax(positions, weights, smoothing=self._smoothing))


class SampledSoftmax:
    """Negatives drawn for each batch compete, each standing for as many items as its chance says."""

    def __init__(self, catalogue: Catalogue, wanted: OptimisationConfig) -> None:
        self._catalogue = catalogue
        self._wanted = wanted
        self._sampler = SAMPLERS[wanted.negative_sampling](catalogue.items, catalogue.events[catalogue.items])

    def candidates(self, batch: Batch, rng: np.random.Generator) -> Candidates:
        """Returns the batch's items and the drawn ones."""
        drawn = self._sampler.draw(self._wanted.negatives, rng)
        items, negatives = _joined(batch, drawn)
        numbers, weights = self._catalogue.tensor(negatives), self._catalogue.tensor(drawn.log_weights)
        smoothing = self._wanted.label_smoothing
        return Candidates(items, lambda one: sampled_softmax_loss(one, numbers, weights, smoothing=smoothing).sum())


class GeneralisedBinary:
    """Each target, and each of the negatives drawn evenly for the batch, is a yes-or-no question (gSASRec)."""

    def __init__(self, catalogue: Catalogue, wanted: OptimisationConfig) -> None:
        self._catalogue = catalogue
        self._negatives = wanted.negatives
        self._sampler = UniformSampler(catalogue.items)
        self._beta = gbce_beta(wanted.negatives, len(catalogue.items), wanted.gbce_calibration)

    def candidates(self, batch: Batch, rng: np.random.Generator) -> Candidates:
        """Returns the batch's items and the drawn ones."""
        items, negatives = _joined(batch, self._sampler.draw(self._negatives, rng))
        numbers = self._catalogue.tensor(negatives)
        return Candidates(items, lambda positions: gbce_loss(positions, numbers, beta=self._beta).sum())


def _joined(batch: Batch, drawn: Drawn) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the different items of batch and draw, ascending [c], and where among them the drawn are, int64 [k]."""
    items = np.union1d(batch.items(), drawn.items)
    return items, np.searchsorted(items, drawn.items)


def _auto(catalogue: Catalogue, wanted: OptimisationConfig) -> Loss:
    """Full softmax up to 5,000 items, in-batch above: there a step would describe many items its batch does not have.

    On MovieLens 100K with four modalities, 20 epochs and otherwise equal settings, validation NDCG@10 was 0.130 with
    `full` and 0.123 with `in_batch` (one seed each).
    """
    small = len(catalogue.events) <= FULL_SOFTMAX_ITEMS
    return FullSoftmax(catalogue, wanted) if small else InBatchSoftmax(catalogue, wanted)


LOSSES: dict[str, Callable[[Catalogue, OptimisationConfig], Loss]] = {
    "auto": _auto,
    "full": FullSoftmax,
    "in_batch": InBatchSoftmax,
    "sampled": SampledSoftmax,
    "gbce": GeneralisedBinary,
}
