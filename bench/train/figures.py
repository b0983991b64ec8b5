"""A step's time over that of its matrix products alone; an epoch's over that of RecTools' SASRec on the same log."""

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from bench.measuring import Figure, Options, Skipped, compare, figure_of
from bench.peers.environments import RECTOOLS, python_of
from bench.train import peer
from bench.train.data import movielens_like, trainer_of
from bench.train.matrix import MatrixWork
from bench.train.profiled import write_profile
from model.data.batch import Batch
from model.trainer import Trainer

STEPS, QUICK_STEPS = 8, 4
RATE = 1e-3
MILLI = 1e3

log = logging.getLogger(__name__)


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """Yield the figures; one thread, as RecTools and the profile have."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if options.wants("train_step"):
            yield "train_step", _step(options)
        if options.profile:
            log.info("where the time goes is written to %s", write_profile())
        if options.wants("train_id_epoch") and not options.quick:
            yield "train_id_epoch", _epoch(options)
    finally:
        torch.set_num_threads(before)


def _step(options: Options) -> Figure:
    """Milliseconds of a step, over the same steps' matrix products."""
    trainer = trainer_of("crossan", movielens_like(has_states=True))
    steps = trainer.steps_of_epoch()[: QUICK_STEPS if options.quick else STEPS]
    _run(trainer, steps)
    with MatrixWork() as work:
        _run(trainer, steps)
    again = work.again()
    again()
    clock = time.thread_time if options.by_cpu else time.perf_counter

    def whole() -> float:
        began = clock()
        _run(trainer, steps)
        return (clock() - began) / len(steps) * MILLI

    def bare() -> float:
        began = clock()
        again()
        return (clock() - began) / len(steps) * MILLI

    return compare(whole, bare, runs=options.runs)


def _run(trainer: Trainer, steps: Sequence[Sequence[Batch]]) -> None:
    for batches in steps:
        trainer.step(batches, RATE)


def _epoch(options: Options) -> Figure:
    """Seconds of an epoch over every user's last events, numbers alone: what SASRec of RecTools does, too."""
    python = python_of(RECTOOLS, options.cache_dir)
    dataset = movielens_like(has_states=False)
    trainer = trainer_of("id", dataset, windows="last")
    trainer.run_epoch(0, lambda: False)
    pairs = []
    with tempfile.TemporaryDirectory() as name:
        log_file = peer.write_log(trainer.split.train, Path(name) / "log.npz")
        for _ in range(options.runs):
            theirs = peer.epoch_s(python, log_file)
            began = time.perf_counter()
            trainer.run_epoch(1, lambda: False)
            pairs.append((time.perf_counter() - began, theirs))
    if not pairs:
        raise Skipped("no runs were asked for")
    return figure_of(pairs)
