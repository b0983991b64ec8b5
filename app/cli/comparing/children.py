"""The processes of a comparison: started a few at once, watched, and gone when this one is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.embedded.processes import tethered
from model.compare.files import ERROR, JOB, PROGRESS, RESULT, read_json, write_json

POLL_S = 0.2
LOG = "log.txt"
"""What a process has said, in the folder of its job."""

Show = Callable[[Mapping["Job", Mapping[str, Any]]], None]
"""Told what runs and how far each is."""


@dataclass(frozen=True)
class Job:
    """A piece of work for a process of its own.

    Attributes:
        module: run as `python -m`, with the folder as its argument.
        folder: where it finds its job and leaves its result.
        title: for a person.
    """

    module: str
    folder: Path
    title: str

    def prepare(self, document: Mapping[str, Any]) -> "Job":
        """Writes what is to be done, takes away what an earlier run has left, and returns the job."""
        for name in (RESULT, ERROR, PROGRESS):
            (self.folder / name).unlink(missing_ok=True)
        write_json(self.folder / JOB, document)
        return self


def run_jobs(jobs: Sequence[Job], *, at_once: int, threads: int, show: Show) -> Iterator[tuple[Job, dict[str, Any]]]:
    """Runs jobs, each in a process, and yields each with its result, or {"error": …}, as it ends.

    Args:
        jobs: prepared, in the order in which they shall start.
        at_once: how many run at the same time.
        threads: that each may compute with.
        show: told now and then what runs.
    """
    waiting = list(jobs)
    running: dict[Job, subprocess.Popen[bytes]] = {}
    with _ended(running):
        while waiting or running:
            while waiting and len(running) < at_once:
                job = waiting.pop(0)
                running[job] = _start(job, threads)
            time.sleep(POLL_S)
            show({job: read_json(job.folder / PROGRESS) or {} for job in running})
            for job in [job for job, process in running.items() if process.poll() is not None]:
                code = running.pop(job).returncode
                yield job, _outcome(job, code)


@contextmanager
def _ended(running: Mapping[Job, "subprocess.Popen[bytes]"]) -> Iterator[None]:
    """Ends what still runs when the caller stops early."""
    try:
        yield
    finally:
        for process in running.values():
            process.kill()
        for process in running.values():
            process.wait()


def _start(job: Job, threads: int) -> "subprocess.Popen[bytes]":
    command = tethered([sys.executable, "-m", job.module, str(job.folder)], death_signal=signal.SIGKILL)
    limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
    with (job.folder / LOG).open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **limits},
            start_new_session=True,
        )


def _outcome(job: Job, code: int) -> dict[str, Any]:
    result = read_json(job.folder / RESULT)
    if code == 0 and result is not None:
        return result
    reason = "killed, perhaps for want of memory" if code == -signal.SIGKILL else f"ended with code {code}"
    return read_json(job.folder / ERROR) or {"error": f"{reason}; see {job.folder / LOG}"}
