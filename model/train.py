"""Fitting a recommender: epochs, validation, early stopping, and one look at the test set at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model import baselines
from model.checkpoint import CheckpointFile, identity_of
from model.config import CatalogueShape, TrainingConfig
from model.data.dataset import Dataset, TrainingDataError
from model.data.splits import SPLITS, Split
from model.encoders.trainable import TunedEncoder
from model.epochs import Course, Progress, run_epochs
from model.evaluation.contribution import Described
from model.evaluation.report import report_test
from model.methods.assembly import separate
from model.methods.registry import REGISTRY
from model.modules.recommender import Recommender
from model.parameters import trainable_parameters
from model.processes import ALONE, Group
from model.trainer import Trainer, TrainingDiverged, TrainingStopped

__all__ = ["Progress", "Trained", "TrainingDiverged", "TrainingStopped", "fit", "fit_together"]

MIN_TRAINING_EVENTS = 2


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
        metrics: `validation`; `test`, `slices` and `modalities` (see `model.evaluation.report`); `baselines`; `epochs`,
            `best_epoch`, `parameters` (that train, by part), `seconds`.
        encoders: those that were trained too, by modality; the recommender reads their states.
    """

    config: TrainingConfig
    shape: CatalogueShape
    recommender: Recommender
    vectors: NDArray[np.float32]
    shares: NDArray[np.float32]
    rankable: NDArray[np.bool_]
    metrics: dict[str, Any]
    encoders: Mapping[str, TunedEncoder] = field(default_factory=dict)


def fit(
    dataset: Dataset,
    config: TrainingConfig,
    *,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    device: str = "cpu",
    test: bool = True,
    checkpoint: Path | None = None,
) -> Trained:
    """Trains, picks the epoch with the best validation NDCG@10, and looks at the test set once, at the end.

    The same data, configuration, machine and number of threads give the same result on a CPU. A search that compares
    configurations turns `test` off: then nothing looks at the test set, and the metrics are of the validation only.

    With a `checkpoint`, the whole state is written there after each epoch, and a later call with the same data and
    configuration goes on from it, to the same result. A file of another training, or a damaged one, is not read.

    Raises:
        TrainingDataError: when nothing can be learned from the data.
        ConfigError: when an option is not possible on this device.
        TrainingStopped: when `should_stop`, asked before every step, said so.
        TrainingDiverged: when the loss is not finite.
    """
    task = _prepare(dataset, config)
    trainer, course = _learn(
        task, ALONE, on_progress=on_progress, should_stop=should_stop, device=device, checkpoint=checkpoint
    )
    return _report(task, trainer, course, test=test)


def fit_together(
    dataset: Dataset,
    config: TrainingConfig,
    group: Group,
    *,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    device: str,
    checkpoint: Path | None = None,
) -> Trained | None:
    """Does what `fit` does, as one of several processes that each call this with the same data and configuration.

    Every process builds the same batches and takes its rows of each; the gradients add up to those of one process.

    Returns:
        What was learned, in the first process; None in the others.
    """
    task = _prepare(dataset, config)
    trainer, course = _learn(
        task, group, on_progress=on_progress, should_stop=should_stop, device=device, checkpoint=checkpoint
    )
    return _report(task, trainer, course, test=True) if group.rank == 0 else None


@dataclass(frozen=True)
class _Task:
    """What is to be learned from, and since when (`time.monotonic`)."""

    dataset: Dataset
    config: TrainingConfig
    rankable: NDArray[np.bool_]
    split: Split
    started: float


def _prepare(dataset: Dataset, config: TrainingConfig) -> _Task:
    """Chooses modalities, items and split."""
    started = time.monotonic()
    dataset = dataset.only(config.tower.modalities)
    rankable = _rankable(dataset, config)
    events = dataset.interactions
    split = SPLITS[config.optimisation.split](events.keep(rankable[events.items]))
    if split.train.lengths.max() < MIN_TRAINING_EVENTS:
        raise TrainingDataError("nothing to train on: no user has two events before those that are held out")
    return _Task(dataset, config, rankable, split, started)


def _learn(
    task: _Task,
    group: Group,
    *,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    device: str,
    checkpoint: Path | None,
) -> tuple[Trainer, Course]:
    """Runs the epochs; the trainer is left with the weights of the best one."""
    file = CheckpointFile(checkpoint, identity_of(task.config, task.dataset)) if checkpoint else None
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(task.config.optimisation.seed)
        trainer = Trainer(task.dataset, task.config, task.split, task.rankable, device=device, group=group)
        course = run_epochs(trainer, on_progress, should_stop, started=task.started, checkpoint=file)
    return trainer, course


def _report(task: _Task, trainer: Trainer, course: Course, *, test: bool) -> Trained:
    """Restores the best weights, and looks at the test set if told to."""
    recommender = trainer.restore(course.best.weights)
    vectors, shares = trainer.describe_items()
    tested: dict[str, Any] = {}
    if test:
        tested = report_test(_described(task, trainer, vectors, shares), task.split)
        tested["baselines"] = baselines.evaluate(task.split, task.dataset.item_count, task.rankable)
    report = {
        "validation": course.best.metrics,
        **tested,
        "epochs": course.epoch,
        "best_epoch": course.best.epoch,
        "parameters": trainable_parameters(recommender),
        "seconds": course.before + time.monotonic() - task.started,
    }
    shape = task.dataset.shape
    served, encoders = separate(recommender.cpu())
    return Trained(task.config, shape, served, vectors, shares, task.rankable, report, encoders)


def _described(task: _Task, trainer: Trainer, vectors: NDArray[np.float32], shares: NDArray[np.float32]) -> Described:
    """Returns what the test is about; only what reads content can hide some of it."""
    reads_content = REGISTRY[task.config.method].select_layers is not None
    return Described(
        vectors=vectors,
        shares=shares,
        rankable=task.rankable,
        present=task.dataset.present,
        modalities=[modality.name for modality in task.dataset.shape.modalities],
        encode=trainer.encode_users,
        max_length=task.config.user_encoder.max_length,
        without=(lambda column: trainer.describe_items(without=column)[0]) if reads_content else None,
    )


def _rankable(dataset: Dataset, config: TrainingConfig) -> NDArray[np.bool_]:
    """Returns which items the method can describe, bool [n]."""
    if REGISTRY[config.method].select_layers is None:
        return np.ones(dataset.item_count, dtype=np.bool_)
    if not dataset.features:
        raise TrainingDataError(f"{config.method} needs at least one modality, found none")
    return np.asarray(np.any(dataset.present, axis=1))
