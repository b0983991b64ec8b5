"""Starts the processes of one training, passes on what they report, and ends them all when one ends badly."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from app.core.errors import TrainingFailed
from app.jobs.run import JobInterrupted, JobStopped
from model.artifact import Manifest, load_manifest
from model.data.dataset import Dataset
from model.data.saved import save_dataset
from worker.train_process import DATASET, EXPECTED, PROGRESS, TASK, Task, reason_file

LOOK_EVERY_S = 0.1
GRACE_S = 5.0
Processes = list["subprocess.Popen[bytes]"]


def check_processes(count: int, device: str) -> None:
    """Raises TrainingFailed if so many processes cannot share a training on this device."""
    if count == 1 or device == "cpu":
        return
    if device != "cuda":
        raise TrainingFailed(
            f"CROSSAN_TRAIN_PROCESSES={count} takes CROSSAN_DEVICE=cuda (a GPU for each process) or cpu, not {device}"
        )
    found = torch.cuda.device_count()
    if count > found:
        raise TrainingFailed(f"CROSSAN_TRAIN_PROCESSES={count} needs a GPU for each process, found {found}")


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
        JobInterrupted: when something has killed a process.
        TrainingFailed: with the reason of the process that failed.
        RuntimeError: when a process fails without one.
    """
    # Beside the checkpoint it goes with that, if this process is killed.
    beside = Path(task.checkpoint or task.artifact).parent
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-processes-", dir=beside) as name:
        folder = Path(name)
        save_dataset(dataset, folder / DATASET)
        (folder / TASK).write_text(json.dumps(dataclasses.asdict(task)), encoding="utf-8")
        seen = 0
        with _running(folder, task.processes) as processes:
            while not _all_ended(processes, folder, should_stop):
                if should_stop():
                    raise JobStopped
                time.sleep(LOOK_EVERY_S)
                seen = _pass_on(folder / PROGRESS, seen, on_progress)
        _pass_on(folder / PROGRESS, seen, on_progress)
    return load_manifest(Path(task.artifact))


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
            # In a session of its own, no signal meant for this process (Ctrl-C, say) ends it before this one knows.
            processes.append(
                subprocess.Popen(command(folder, rank), stdin=subprocess.PIPE, env=environment, start_new_session=True)
            )
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


def _all_ended(processes: Processes, folder: Path, should_stop: Callable[[], bool]) -> bool:
    """Whether all have ended well; raises as soon as one has not."""
    statuses = [process.poll() for process in processes]
    if any(statuses):
        # Once more: the others fail when one is killed, which may have been after it was asked above.
        raise _why([process.poll() for process in processes], folder, should_stop)
    return all(status == 0 for status in statuses)


def _why(statuses: Sequence[int | None], folder: Path, should_stop: Callable[[], bool]) -> Exception:
    """What to raise: a reason that was told before a signal, which may follow from it, and both before the others."""
    ended = [(rank, status) for rank, status in enumerate(statuses) if status]
    for rank, status in ended:
        if status == EXPECTED:
            return TrainingFailed(reason_file(folder, rank).read_text(encoding="utf-8"))
    for rank, status in ended:
        if status < 0:
            killed = f"process {rank} of {len(statuses)} of the training was killed by signal {-status}"
            return JobStopped(killed) if should_stop() else JobInterrupted(killed)
    rank, status = ended[0]
    return RuntimeError(f"process {rank} of {len(statuses)} of the training ended with status {status}")


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
