"""The learning rate over the epochs of a training: a linear warm-up, then one of some curves."""

from __future__ import annotations

import math
from collections.abc import Callable

from model.config import OptimisationConfig

LEAST = 0.1
"""What is left of the rate at the end."""


def _cosine(done: float) -> float:
    return LEAST + (1 - LEAST) * 0.5 * (1 + math.cos(math.pi * done))


def _constant(done: float) -> float:
    return 1.0


def _linear(done: float) -> float:
    return 1 - (1 - LEAST) * done


SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": _cosine, "constant": _constant, "linear": _linear}
"""By name: the part of the way from the warm-up to the last epoch, 0 to 1, to a factor."""


def learning_rate(wanted: OptimisationConfig, epoch: float) -> float:
    """Returns the rate after `epoch` epochs, counted with fractions."""
    if epoch < wanted.warmup_epochs:
        return wanted.learning_rate * epoch / wanted.warmup_epochs
    done = (epoch - wanted.warmup_epochs) / max(wanted.epochs - wanted.warmup_epochs, 1)
    return wanted.learning_rate * SCHEDULES[wanted.schedule](min(done, 1.0))
