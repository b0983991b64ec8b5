"""The state of one training: networks, their running average, optimiser and data; one epoch at a time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.config import OptimisationConfig, TrainingConfig
from model.data.batch import Batch, training_batches
from model.data.dataset import Dataset
from model.data.splits import Holdout, Split
from model.evaluation.ranking import holdout_ranks, vector_scorer
from model.losses import CandidateLoss
from model.methods.assembly import assemble
from model.methods.registry import REGISTRY
from model.modules.recommender import Recommender
from model.modules.user_encoder import UserEncoder

ITEMS_AT_ONCE = 4_096
GRADIENT_NORM = 1.0
ENCODERS = "tower.encoders."
"""Where the parameters of encoders are found in a network that trains them."""


class TrainingStopped(Exception):
    """The caller asked the training to stop."""


class TrainingDiverged(Exception):
    """The loss is not a number any more; nothing was saved."""


class Trainer:
    """The state of one training: networks, their running average, optimiser and data."""

    def __init__(
        self, dataset: Dataset, config: TrainingConfig, split: Split, rankable: NDArray[np.bool_], *, device: str
    ) -> None:
        self.config = config
        self.split = split
        self._device = device
        self._rankable = rankable
        self._rng = np.random.default_rng(config.optimisation.seed)
        assembly = assemble(config, dataset, device=device)
        self._network, self._inputs = assembly.network, assembly.inputs
        REGISTRY[config.method].prepare(self._network.tower, self._inputs.gather(self._sample()))
        self._average = copy.deepcopy(self._network).eval()
        self._optimizer = torch.optim.AdamW(parameter_groups(self._network, config.optimisation))
        self._loss = CandidateLoss(split.train, rankable, config.optimisation, device=device)
        self._steps = 0

    def _sample(self) -> Tensor:
        """Returns a few thousand items that can be described."""
        items = np.flatnonzero(self._rankable)
        chosen = self._rng.choice(items, min(len(items), ITEMS_AT_ONCE), replace=False)
        return torch.from_numpy(np.sort(chosen)).to(self._device)

    def run_epoch(self, epoch: int, should_stop: Callable[[], bool]) -> float:
        """Trains one epoch and returns the mean loss of its steps."""
        wanted = self.config.optimisation
        max_length = self.config.user_encoder.max_length
        batches = list(training_batches(self.split.train, wanted.batch_size, max_length, self._rng))
        losses = []
        for number, batch in enumerate(batches):
            if should_stop():
                raise TrainingStopped(f"stopped in epoch {epoch + 1}")
            rate = learning_rate(wanted, epoch + (number + 1) / len(batches))
            losses.append(self._step(batch, rate))
            if not math.isfinite(losses[-1]):
                raise TrainingDiverged(f"the loss is {losses[-1]} in epoch {epoch + 1}; try a lower learning_rate")
        return float(np.mean(losses))

    def _step(self, batch: Batch, rate: float) -> float:
        self._network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device.startswith("cuda")):
            loss = self._loss(self._network, self._inputs, batch)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._network.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        self._steps += 1
        self._update_average()
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moves the average towards the weights; it follows quickly at first, slowly later."""
        decay = min(self.config.optimisation.average_decay, self._steps / (self._steps + 9))
        for mean, current in zip(self._average.parameters(), self._network.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)

    def weights(self) -> dict[str, Tensor]:
        """Returns a copy of the averaged weights."""
        return {name: tensor.clone() for name, tensor in self._average.state_dict().items()}

    def restore(self, weights: dict[str, Tensor]) -> Recommender:
        """Puts weights back and returns the network that has them."""
        self._average.load_state_dict(weights)
        return self._average

    def rank(self, holdout: Holdout) -> NDArray[np.int64]:
        """Returns the ranks of held-out targets under the averaged weights, int64 [u]."""
        vectors, _ = self.describe_items()
        score = vector_scorer(vectors, self._encode_users, self.config.user_encoder.max_length)
        return holdout_ranks(holdout, score, self._rankable)

    @torch.no_grad()
    def describe_items(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns the vectors [n, d_e] and shares [n, m] of the whole catalogue."""
        chunks = torch.split(torch.arange(len(self._rankable), device=self._device), ITEMS_AT_ONCE)
        described = [self._average.tower(*self._inputs.gather(chunk)) for chunk in chunks]
        vectors, shares = (torch.cat(parts).float().cpu().numpy() for parts in zip(*described, strict=True))
        return vectors, shares

    @torch.no_grad()
    def _encode_users(self, sequences: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        parts = (torch.from_numpy(part).to(self._device) for part in (sequences, lengths))
        encoder = cast(UserEncoder, self._average.user_encoder)
        encoded: NDArray[np.float32] = encoder.last(*parts).float().cpu().numpy()
        return encoded


def learning_rate(wanted: OptimisationConfig, epoch: float) -> float:
    """Linear warm-up, then a cosine down to a tenth over all epochs; `epoch` counts fractions."""
    if epoch < wanted.warmup_epochs:
        return wanted.learning_rate * epoch / wanted.warmup_epochs
    done = (epoch - wanted.warmup_epochs) / max(wanted.epochs - wanted.warmup_epochs, 1)
    return wanted.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(done, 1.0)))


def parameter_groups(network: nn.Module, wanted: OptimisationConfig) -> list[dict[str, Any]]:
    """Weight decay for matrices; none for biases, norms, positions and the scalars of the gates.

    What is trained inside an encoder has a learning rate of its own: `rate` is what the schedule is multiplied by.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = (name.endswith("weight") and parameter.ndim > 1, name.startswith(ENCODERS))
            groups.setdefault(key, []).append(parameter)
    inside = wanted.encoder_learning_rate / wanted.learning_rate
    return [
        {"params": parameters, "weight_decay": wanted.weight_decay * decays, "rate": inside if encoder else 1.0}
        for (decays, encoder), parameters in groups.items()
    ]
