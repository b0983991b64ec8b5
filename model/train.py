"""Fitting a recommender: epochs, validation, early stopping, and one look at the test set at the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model import baselines, metrics
from model.config import CatalogueShape, TrainingConfig
from model.data.dataset import Dataset, TrainingDataError
from model.data.splits import leave_one_out
from model.methods.registry import REGISTRY
from model.modules.recommender import Recommender
from model.trainer import Trainer, TrainingDiverged, TrainingStopped

__all__ = ["Progress", "Trained", "TrainingDiverged", "TrainingStopped", "fit"]

MIN_TRAINING_EVENTS = 2


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
    dataset = dataset.only(config.tower.modalities)
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
