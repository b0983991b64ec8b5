"""Fitting a recommender: epochs, validation, early stopping, and one look at the test set at the end."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model import baselines, metrics
from model.config import CatalogueShape, OptimisationConfig, TrainingConfig
from model.data.batch import Batch, training_batches
from model.data.dataset import Dataset, TrainingDataError
from model.data.splits import Holdout, Split, leave_one_out
from model.evaluate import holdout_ranks, vector_scorer
from model.losses import CandidateLoss
from model.methods.base import ItemInputs
from model.methods.registry import REGISTRY
from model.modules.recommender import Recommender
from model.modules.user_encoder import UserEncoder

ITEMS_AT_ONCE = 4_096
GRADIENT_NORM = 1.0
MIN_TRAINING_EVENTS = 2


class TrainingStopped(Exception):
    """The caller asked the training to stop."""


class TrainingDiverged(Exception):
    """The loss is not a number any more; nothing was saved."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands after an epoch; metrics are of the validation set, seconds since the start."""

    epoch: int
    epochs: int
    loss: float
    hr10: float
    ndcg10: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """A fitted recommender at its best epoch.

    Attributes:
        config: what it was trained with.
        shape: the catalogue it was built for.
        recommender: the networks, in evaluation mode, on the CPU.
        vectors: float32 [n, d_e].
        shares: float32 [n, m].
        rankable: bool [n], items that have a vector.
        metrics: `validation`, `test`, `baselines`, `epochs`, `best_epoch`, `seconds`.
    """

    config: TrainingConfig
    shape: CatalogueShape
    recommender: Recommender
    vectors: NDArray[np.float32]
    shares: NDArray[np.float32]
    rankable: NDArray[np.bool_]
    metrics: dict[str, Any]


def fit(
    dataset: Dataset,
    config: TrainingConfig,
    *,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    device: str = "cpu",
) -> Trained:
    """Trains, picks the epoch with the best validation NDCG@10, and looks at the test set once, at the end.

    The same data, configuration, machine and number of threads give the same result on a CPU.

    Raises:
        TrainingDataError: when nothing can be learned from the data.
        TrainingStopped: when `should_stop`, asked before every step, said so.
        TrainingDiverged: when the loss is not finite.
    """
    started = time.monotonic()
    rankable = _rankable(dataset, config)
    events = dataset.interactions
    split = leave_one_out(events.keep(rankable[events.items]))
    if split.train.lengths.max() < MIN_TRAINING_EVENTS:
        raise TrainingDataError("nothing to train on: no user has two events before the two that are held out")
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(config.optimisation.seed)
        trainer = Trainer(dataset, config, split, rankable, device=device)
        best, epochs = _run(trainer, on_progress, should_stop, started)
        recommender = trainer.restore(best.weights)
    test = metrics.summary(trainer.rank(split.test))
    vectors, shares = trainer.describe_items()
    report = {
        "validation": best.metrics,
        "test": test,
        "baselines": baselines.evaluate(split, dataset.item_count),
        "epochs": epochs,
        "best_epoch": best.epoch,
        "seconds": time.monotonic() - started,
    }
    return Trained(config, dataset.shape, recommender.cpu(), vectors, shares, rankable, report)


@dataclass(frozen=True)
class _Best:
    epoch: int
    metrics: dict[str, float]
    weights: dict[str, Tensor]


def _run(
    trainer: Trainer, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool], started: float
) -> tuple[_Best, int]:
    """Runs epochs until patience or epochs end; returns the best and how many were run."""
    wanted = trainer.config.optimisation
    best = _Best(0, {"ndcg10": -1.0}, {})
    epoch = 0
    while epoch < wanted.epochs and epoch - best.epoch < wanted.patience:
        loss = trainer.run_epoch(epoch, should_stop)
        epoch += 1
        found = metrics.summary(trainer.rank(trainer.split.validation))
        if found["ndcg10"] > best.metrics["ndcg10"]:
            best = _Best(epoch, found, trainer.weights())
        seconds = time.monotonic() - started
        on_progress(Progress(epoch, wanted.epochs, loss, found["hr10"], found["ndcg10"], seconds))
    return best, epoch


def _rankable(dataset: Dataset, config: TrainingConfig) -> NDArray[np.bool_]:
    """Returns which items the method can describe, bool [n]."""
    if REGISTRY[config.method].select_layers is None:
        return np.ones(dataset.item_count, dtype=np.bool_)
    if not dataset.features:
        raise TrainingDataError(f"{config.method} needs at least one modality, found none")
    return np.asarray(np.any(dataset.present, axis=1))


class Trainer:
    """The state of one training: networks, their running average, optimiser and data."""

    def __init__(
        self, dataset: Dataset, config: TrainingConfig, split: Split, rankable: NDArray[np.bool_], *, device: str
    ) -> None:
        method = REGISTRY[config.method]
        self.config = config
        self.split = split
        self._device = device
        self._rankable = rankable
        self._rng = np.random.default_rng(config.optimisation.seed)
        self._inputs: ItemInputs = method.build_inputs(config, dataset, device)
        user_encoder = UserEncoder(config.user_encoder, config.tower.item_width)
        self._network = Recommender(method.build_tower(config, dataset.shape), user_encoder).to(device)
        method.prepare(self._network.tower, self._inputs.gather(self._sample()))
        self._average = copy.deepcopy(self._network).eval()
        self._optimizer = torch.optim.AdamW(_parameter_groups(self._network, config.optimisation.weight_decay))
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
            group["lr"] = rate
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
        encoded: NDArray[np.float32] = self._average.user_encoder.last(*parts).float().cpu().numpy()
        return encoded


def learning_rate(wanted: OptimisationConfig, epoch: float) -> float:
    """Linear warm-up, then a cosine down to a tenth over all epochs; `epoch` counts fractions."""
    if epoch < wanted.warmup_epochs:
        return wanted.learning_rate * epoch / wanted.warmup_epochs
    done = (epoch - wanted.warmup_epochs) / max(wanted.epochs - wanted.warmup_epochs, 1)
    return wanted.learning_rate * (0.55 + 0.45 * math.cos(math.pi * min(done, 1.0)))


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices; none for biases, norms, positions and the scalars of the gates."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (decayed if name.endswith("weight") and parameter.ndim > 1 else free).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
