"""Starts the processes of one training, passes on what they report, and ends them all when one ends badly."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from app.core.errors import TrainingFailed
from app.jobs.run import JobStopped
from model.artifact import Manifest, load_manifest
from model.data.dataset import Dataset
from model.data.saved import save_dataset
from worker.train_process import DATASET, EXPECTED, PROGRESS, TASK, Task, reason_file

LOOK_EVERY_S = 0.1
GRACE_S = 5.0
Processes = list["subprocess.Popen[bytes]"]


def train_together(
    dataset: Dataset,
    task: Task,
    *,
    on_progress: Callable[[Mapping[str, Any]], None],
    should_stop: Callable[[], bool],
) -> Manifest:
    """Trains in `task.processes` processes and returns the manifest of what they leave in `task.artifact`.

    Raises:
        JobStopped: when told to stop; the processes have ended then.
        TrainingFailed: with the reason of the process that failed.
        RuntimeError: when a process ends without one.
    """
    if task.device != "cpu" and task.processes > torch.cuda.device_count():
        raise TrainingFailed(f"{task.processes} processes need a GPU each, found {torch.cuda.device_count()}")
    artifact = Path(task.artifact)
    with tempfile.TemporaryDirectory(prefix=".partial-processes-", dir=artifact.parent) as name:
        folder = Path(name)
        save_dataset(dataset, folder / DATASET)
        (folder / TASK).write_text(json.dumps(dataclasses.asdict(task)), encoding="utf-8")
        seen = 0
        with _running(folder, task.processes) as processes:
            while not _all_ended(processes, folder):
                if should_stop():
                    raise JobStopped
                time.sleep(LOOK_EVERY_S)
                seen = _pass_on(folder / PROGRESS, seen, on_progress)
        _pass_on(folder / PROGRESS, seen, on_progress)
    return load_manifest(artifact)


def command(folder: Path, rank: int) -> list[str]:
    """What a process is started by."""
    return [sys.executable, "-m", "worker.train_process", str(folder), str(rank)]


@contextmanager
def _running(folder: Path, count: int) -> Iterator[Processes]:
    """Starts the processes and ends whatever still runs on leaving."""
    # Cores are shared, unless the environment says how many threads a process shall have.
    threads = str(max((os.cpu_count() or 1) // count, 1))
    environment = {"OMP_NUM_THREADS": threads, **os.environ}
    processes: Processes = []
    try:
        for rank in range(count):
            # The pipe is never written to: when this process ends, however, the child reads its end and follows.
            processes.append(subprocess.Popen(command(folder, rank), stdin=subprocess.PIPE, env=environment))
        yield processes
    finally:
        _end(processes)


def _end(processes: Processes) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()


def _all_ended(processes: Processes, folder: Path) -> bool:
    """Whether all have ended well; raises as soon as one has not."""
    statuses = [process.poll() for process in processes]
    for rank, status in enumerate(statuses):
        if status == EXPECTED:
            raise TrainingFailed(reason_file(folder, rank).read_text(encoding="utf-8"))
    for rank, status in enumerate(statuses):
        if status:
            raise RuntimeError(f"process {rank} of {len(processes)} of the training ended with status {status}")
    return all(status == 0 for status in statuses)


def _pass_on(path: Path, seen: int, on_progress: Callable[[Mapping[str, Any]], None]) -> int:
    """Reports the whole lines after the first `seen` bytes; returns how many bytes are read now."""
    if not path.exists():
        return seen
    with path.open("rb") as file:
        file.seek(seen)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    for line in whole.splitlines():
        on_progress(json.loads(line))
    return seen + len(whole)
