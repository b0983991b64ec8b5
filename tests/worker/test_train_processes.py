"""A training in two real processes on the CPU: the same losses as in one, and an end in every case."""

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.core.errors import TrainingFailed
from app.jobs.run import JobInterrupted, JobStopped
from model.config import ConfigError, parse_config
from model.data.dataset import Dataset, TrainingDataError
from model.train import Progress, fit
from tests.model.synthetic import content_log
from worker import train_process, train_processes
from worker.train_process import EXPECTED, Task, reason_file
from worker.train_processes import check_processes, train_together

OPTIONS = {
    "modalities": "text",
    "item_width": 8,
    "side_width": 8,
    "bottleneck": 4,
    "side_layers": 2,
    "blocks": 1,
    "max_length": 10,
    "dropout": 0.0,
    "state_dropout": 0.0,
    "modality_dropout": 0.0,
    "loss": "sampled",
    "negatives": 30,
    "batch_size": 15,
    "epochs": 3,
}


@pytest.fixture
def log() -> Dataset:
    return content_log(items=60, users=60, events=8)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def started() -> Callable[[], list[psutil.Process]]:
    """The children that this process has got since the test began; services of the session may be among the others."""
    before = {child.pid for child in psutil.Process().children()}
    return lambda: [child for child in psutil.Process().children() if child.pid not in before]


Started = Callable[[], list[psutil.Process]]


def task_in(folder: Path, **changes: Any) -> Task:
    whole = Task(
        method="crossan",
        hyperparameters=OPTIONS,
        processes=2,
        device="cpu",
        artifact=str(folder / "artifact"),
        checkpoint=str(folder / "checkpoint"),
        item_ids=[f"i{row}" for row in range(60)],
        meta={"cut": "now"},
    )
    return dataclasses.replace(whole, **changes)


def test_two_processes_learn_as_one_does(log: Dataset, tmp_path: Path, started: Started) -> None:
    """Batches of 15 rows, so that the shares differ; what remains is the rounding of sums."""
    alone: list[Progress] = []
    config = parse_config("crossan", OPTIONS)
    trained = fit(log, config, on_progress=alone.append, should_stop=lambda: False)
    together: list[Any] = []
    manifest = train_together(log, task_in(tmp_path), on_progress=together.append, should_stop=lambda: False)
    assert [one["epoch"] for one in together] == [1, 2, 3]
    assert [one["loss"] for one in together] == pytest.approx([one.loss for one in alone], rel=1e-4)
    assert [one["ndcg10"] for one in together] == pytest.approx([one.ndcg10 for one in alone], abs=0.01)
    assert manifest.metrics["best_epoch"] == trained.metrics["best_epoch"]
    assert manifest.meta["cut"] == "now"
    assert (tmp_path / "checkpoint").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"artifact", "checkpoint"}
    assert started() == []


def stand_in(code: str) -> Any:
    """Processes that run some other code; they have their number as an argument."""

    def command(folder: Path, rank: int) -> list[str]:
        return [sys.executable, "-c", code, str(rank)]

    return command


def test_all_end_when_told_to_stop(
    log: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    monkeypatch.setattr(train_processes, "command", stand_in("import time; time.sleep(60)"))
    with pytest.raises(JobStopped):
        train_together(
            log,
            task_in(tmp_path),
            on_progress=lambda progress: None,
            should_stop=lambda: len(started()) == 2,
        )
    assert started() == []
    assert list(tmp_path.iterdir()) == []


def test_the_reason_of_a_failure_is_told(
    log: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    """A process that writes its reason beside the task, and ends with the status that says so."""
    monkeypatch.setattr(train_processes, "command", telling)
    with pytest.raises(TrainingFailed, match="too little data for process 1"):
        train_together(log, task_in(tmp_path), on_progress=lambda progress: None, should_stop=lambda: False)
    assert started() == []
    assert list(tmp_path.iterdir()) == []


def telling(folder: Path, rank: int) -> list[str]:
    reason_file(folder, rank).write_text(f"too little data for process {rank}")
    return [sys.executable, "-c", f"import time; {rank} == 0 and time.sleep(60); raise SystemExit({EXPECTED})"]


@pytest.mark.parametrize(
    ("error", "status"), [(TrainingDataError("too little"), EXPECTED), (ConfigError("precision", "no"), EXPECTED)]
)
def test_a_process_writes_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(folder: Path, rank: int) -> None:
        raise error

    monkeypatch.setattr(train_process, "work", fail)
    monkeypatch.setattr(train_process, "end_with_parent", lambda: None)
    monkeypatch.setattr(train_process, "configure_logging", lambda level: None)
    assert train_process.main(tmp_path, 3) == status
    assert reason_file(tmp_path, 3).read_text() == str(error)


def ending(log: Dataset, folder: Path, should_stop: Callable[[], bool] = lambda: False) -> BaseException:
    """What a training raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  (the callers look at it)
        train_together(log, task_in(folder), on_progress=lambda progress: None, should_stop=should_stop)
    return caught.value


def test_all_end_when_one_fails(
    log: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    code = "import sys, time; sys.argv[1] == '1' and sys.exit(7); time.sleep(60)"
    monkeypatch.setattr(train_processes, "command", stand_in(code))
    error = ending(log, tmp_path)
    assert (type(error), str(error)) == (RuntimeError, "process 1 of 2 of the training ended with status 7")
    assert started() == []


def test_a_training_of_which_a_process_is_killed_is_only_interrupted(
    log: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    code = "import os, signal, sys, time; sys.argv[1] == '1' and os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)"
    monkeypatch.setattr(train_processes, "command", stand_in(code))
    error = ending(log, tmp_path)
    assert (type(error), str(error)) == (JobInterrupted, "process 1 of 2 of the training was killed by signal 9")
    assert started() == []


def test_what_follows_from_a_kill_or_a_failure_is_not_taken_for_its_cause(tmp_path: Path) -> None:
    """The others of a group fail when one is gone; and one whose connection breaks may be ended by a signal."""
    reason_file(tmp_path, 0).write_text("too little data")

    def why(*statuses: int | None, stopping: bool = False) -> tuple[type[Exception], str]:
        found = train_processes._why(statuses, tmp_path, lambda: stopping)
        return type(found), str(found)

    killed = "process 1 of 2 of the training was killed by signal 15"
    assert why(1, -15) == (JobInterrupted, killed)
    assert why(1, -15, stopping=True) == (JobStopped, killed)
    assert why(EXPECTED, -6) == (TrainingFailed, "too little data")
    assert why(None, 1) == (RuntimeError, "process 1 of 2 of the training ended with status 1")


def test_signals_for_the_group_of_this_process_do_not_reach_them(
    log: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Started
) -> None:
    monkeypatch.setattr(train_processes, "command", stand_in("import time; time.sleep(60)"))
    groups: set[int] = set()

    def look() -> bool:
        groups.update(os.getpgid(child.pid) for child in started())
        return len(groups) == 2

    assert isinstance(ending(log, tmp_path, look), JobStopped)
    assert os.getpgid(0) not in groups


@pytest.mark.parametrize(
    ("count", "device", "reason"),
    [
        (99, "cuda", "CROSSAN_TRAIN_PROCESSES=99 needs a GPU for each process"),
        (2, "cuda:1", "CROSSAN_TRAIN_PROCESSES=2 takes CROSSAN_DEVICE=cuda .* not cuda:1"),
    ],
)
def test_more_processes_than_the_device_is_good_for_are_refused(count: int, device: str, reason: str) -> None:
    with pytest.raises(TrainingFailed, match=reason):
        check_processes(count, device)
    check_processes(1, device)
    check_processes(count, "cpu")


def test_only_whole_lines_of_progress_are_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    seen: list[Any] = []
    assert train_processes._pass_on(path, 0, seen.append) == 0
    path.write_text('{"epoch": 1}\n{"epo')
    read = train_processes._pass_on(path, 0, seen.append)
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n')
    train_processes._pass_on(path, read, seen.append)
    assert seen == [{"epoch": 1}, {"epoch": 2}]
