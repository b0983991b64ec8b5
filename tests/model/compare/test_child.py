import json
from pathlib import Path
from typing import Any

import pytest

from model.compare.child import Report, run_job
from model.compare.files import ERROR, JOB, PROGRESS, RESULT, digest_of, read_json, write_json
from model.config import ConfigError


def double(job: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"done": 1})
    return {"twice": 2 * job["number"]}


def test_a_job_leaves_its_result_and_takes_away_an_old_error(tmp_path: Path) -> None:
    write_json(tmp_path / JOB, {"number": 21})
    write_json(tmp_path / ERROR, {"error": "old"})
    assert run_job(tmp_path, double) == 0
    assert read_json(tmp_path / RESULT) == {"twice": 42}
    assert read_json(tmp_path / PROGRESS) == {"done": 1}
    assert not (tmp_path / ERROR).exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("epochs", "too many"), "epochs: too many"),
        (RuntimeError("out of memory"), "RuntimeError: out of memory"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_a_job_that_fails_leaves_why(tmp_path: Path, error: Exception, said: str) -> None:
    def fail(job: dict[str, Any], report: Report) -> dict[str, Any]:
        raise error

    write_json(tmp_path / JOB, {})
    assert run_job(tmp_path, fail) == 1
    assert read_json(tmp_path / ERROR) == {"error": said}
    assert not (tmp_path / RESULT).exists()


def test_without_a_job_nothing_is_done(tmp_path: Path) -> None:
    assert run_job(tmp_path, double) == 1


def test_documents(tmp_path: Path) -> None:
    assert read_json(tmp_path / "absent.json") is None
    (tmp_path / "half.json").write_text('{"a": ')
    assert read_json(tmp_path / "half.json") is None
    (tmp_path / "list.json").write_text(json.dumps([1]))
    assert read_json(tmp_path / "list.json") is None
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})
