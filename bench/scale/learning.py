"""Training: seconds of an epoch of `crossan` against the number of items and of events; one thread, two modalities."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from model.config import parse_config
from model.data.dataset import Dataset, FeatureTable, Interactions
from model.data.splits import leave_one_out
from model.trainer import Trainer

Shape = tuple[int, int]
"""Items and events."""
SHAPES: tuple[Shape, ...] = (
    (1_000, 100_000),
    (10_000, 100_000),
    (100_000, 100_000),
    (10_000, 10_000),
    (10_000, 1_000_000),
)
QUICK_SHAPES: tuple[Shape, ...] = ((1_000, 10_000), (5_000, 10_000))
EVENTS_A_USER = 50
STATES = {"text": (7, 384), "image": (13, 384)}
"""Layers and width of the default encoders of these modalities."""
STEPS = 4
RATE = 1e-3


def measure_training(shapes: Sequence[Shape]) -> Iterator[dict[str, Any]]:
    """One row a shape: seconds of a step, steps of an epoch, and so seconds of an epoch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for items, events in shapes:
            yield _row(items, events)
    finally:
        torch.set_num_threads(threads)


def _row(items: int, events: int) -> dict[str, Any]:
    dataset = _dataset(items, events)
    everything = np.ones(items, np.bool_)
    split = leave_one_out(dataset.interactions)
    trainer = Trainer(dataset, parse_config("crossan", {}), split, everything, device="cpu")
    steps = trainer.steps_of_epoch()
    trainer.step(steps[0], RATE)
    start = time.process_time()
    for batches in steps[1 : STEPS + 1]:
        trainer.step(batches, RATE)
    step_s = (time.process_time() - start) / len(steps[1 : STEPS + 1])
    return {"items": items, "events": events, "steps": len(steps), "step_s": step_s, "epoch_s": step_s * len(steps)}


def _dataset(items: int, events: int) -> Dataset:
    """States that repeat after some thousand items: what they say does not matter, nor does that they are the same."""
    rng = np.random.default_rng(0)
    stored = min(items, 4_096)
    rows = (np.arange(items) % stored).astype(np.int32)
    features = [
        FeatureTable(name, rng.standard_normal((stored, *shape), np.float32).astype(np.float16), rows)
        for name, shape in STATES.items()
    ]
    offsets = np.arange(0, events + 1, EVENTS_A_USER)
    return Dataset(items, features, Interactions(offsets, rng.integers(0, items, events).astype(np.int32)))
