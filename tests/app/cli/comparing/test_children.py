import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.cli.comparing.children import Job, run_jobs
from model.compare.files import ERROR, PROGRESS, RESULT, read_json, write_json

CHILD = "tests.app.cli.comparing.child"


def job(folder: Path, name: str, **document: Any) -> Job:
    (folder / name).mkdir()
    return Job(CHILD, folder / name, name).prepare(document)


def quiet(running: Mapping[Job, Mapping[str, Any]]) -> None:
    pass


def test_results_errors_and_deaths_are_told_and_stop_nothing(tmp_path: Path) -> None:
    jobs = [
        job(tmp_path, "good", answer=1),
        job(tmp_path, "bad", error="no such thing"),
        job(tmp_path, "dead", signal=int(signal.SIGKILL)),
        job(tmp_path, "late", answer=2),
    ]
    seen: list[str] = []
    found = dict(run_jobs(jobs, at_once=2, threads=3, show=lambda running: seen.extend(one.title for one in running)))
    assert found[jobs[0]] == {"answer": 1, "threads": "3"}
    assert found[jobs[1]] == {"error": "no such thing"}
    assert "killed" in found[jobs[2]]["error"]
    assert found[jobs[3]] == {"answer": 2, "threads": "3"}
    assert set(seen) <= {"good", "bad", "dead", "late"}


def test_what_runs_is_ended_when_the_caller_stops(tmp_path: Path) -> None:
    slow, other = job(tmp_path, "slow", sleep_s=60), job(tmp_path, "quick", answer=1)
    running = run_jobs([slow, other], at_once=2, threads=1, show=quiet)
    assert next(running)[0] == other
    process_id = (read_json(slow.folder / PROGRESS) or {}).get("process")
    running.close()
    if process_id is not None:
        assert not Path(f"/proc/{process_id}").exists() or os.name != "posix"
    assert not (slow.folder / RESULT).exists()


def test_preparing_takes_away_what_was_left(tmp_path: Path) -> None:
    for name in (RESULT, ERROR, PROGRESS):
        write_json(tmp_path / name, {})
    Job(CHILD, tmp_path, "again").prepare({"answer": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.json"]
