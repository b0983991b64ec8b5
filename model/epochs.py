"""The epochs of a training: validation after each, the best so far, early stopping, and a checkpoint to go on from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from model import metrics
from model.checkpoint import CheckpointFile, State
from model.trainer import Trainer

BEST = "best."


@dataclass(frozen=True)
class Progress:
    """Where a training stands after an epoch; metrics are of the validation set, seconds since the start.

    `training_seconds` are those of this epoch's steps alone, without the validation; `processor_seconds` are what
    they took of all processors together.
    `resumed_from` is the epoch of the checkpoint that this run of it began with, 0 for none; `seconds` count from the
    first start on, without the time between an end and the next start.
    """

    epoch: int
    epochs: int
    loss: float
    hr10: float
    ndcg10: float
    seconds: float
    resumed_from: int = 0
    training_seconds: float = 0.0
    processor_seconds: float = 0.0


@dataclass(frozen=True)
class Best:
    """The epoch that was best so far."""

    epoch: int
    metrics: dict[str, float]
    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Course:
    """How far a training is.

    Attributes:
        epoch: how many epochs are done.
        best: the one to keep.
        before: seconds that earlier runs of it have taken.
    """

    epoch: int
    best: Best
    before: float = 0.0


START = Course(0, Best(0, {"ndcg10": -1.0}, {}))


def run_epochs(
    trainer: Trainer,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
    *,
    started: float,
    checkpoint: CheckpointFile | None = None,
) -> Course:
    """Runs epochs until patience or epochs end.

    Args:
        trainer: trains and validates.
        on_progress: told after each epoch, by the first process only.
        should_stop: asked before each step.
        started: when the run began, of `time.monotonic`.
        checkpoint: where the state lies, if it shall outlive the process.
    """
    wanted = trainer.config.optimisation
    course = _resumed(trainer, checkpoint)
    first = course.epoch
    while course.epoch < wanted.epochs and course.epoch - course.best.epoch < wanted.patience:
        before, worked = time.monotonic(), time.process_time()
        loss = trainer.run_epoch(course.epoch, should_stop)
        steps_s = (time.monotonic() - before, time.process_time() - worked)
        found = _validate(trainer)
        epoch, best = course.epoch + 1, course.best
        if found["ndcg10"] > best.metrics["ndcg10"]:
            best = Best(epoch, found, trainer.weights())
        course = Course(epoch, best, course.before)
        if trainer.group.rank == 0:
            seconds = course.before + time.monotonic() - started
            if checkpoint:
                checkpoint.save(_state(trainer, course, seconds))
            numbers = (found["hr10"], found["ndcg10"], seconds, first, *steps_s)
            on_progress(Progress(epoch, wanted.epochs, loss, *numbers))
    return course


def _validate(trainer: Trainer) -> dict[str, float]:
    """Returns the metrics of the validation set, which the first process finds for all."""
    ranks = trainer.rank(trainer.split.validation) if trainer.group.rank == 0 else None
    return trainer.group.from_main(None if ranks is None else metrics.summary(ranks))


def _resumed(trainer: Trainer, checkpoint: CheckpointFile | None) -> Course:
    """Puts a kept state into the trainer and returns how far it was; the start when there is none."""
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return START
    trainer.load_state(state)
    course: dict[str, Any] = state.facts["course"]
    weights = {name.removeprefix(BEST): one for name, one in state.tensors.items() if name.startswith(BEST)}
    return Course(course["epoch"], Best(course["best_epoch"], course["best_metrics"], weights), course["seconds"])


def _state(trainer: Trainer, course: Course, seconds: float) -> State:
    """Returns the trainer's state with the best weights and how far it is."""
    state = trainer.state()
    best = course.best
    facts = {
        "epoch": course.epoch,
        "best_epoch": best.epoch,
        "best_metrics": best.metrics,
        "seconds": seconds,
    }
    weights = {f"{BEST}{name}": tensor for name, tensor in best.weights.items()}
    return State({**state.tensors, **weights}, {**state.facts, "course": facts})
