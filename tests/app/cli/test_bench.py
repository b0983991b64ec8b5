import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import bench
from app.cli.main import app
from bench.__main__ import GROUPS
from crossan.client import ClientError


def test_it_runs_the_bench_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bench.subprocess, "run", run)
    runner = CliRunner()
    runner.invoke(app, ["bench", "topk", "--quick", "--json"], catch_exceptions=False)
    runner.invoke(app, ["bench", "encode", "--runs", "7", "--encoders", str(tmp_path)], catch_exceptions=False)
    python = [sys.executable, "-m", "bench"]
    assert commands == [
        [*python, "topk", "--quick", "--json"],
        [*python, "encode", "--runs=7", f"--encoders={tmp_path}"],
    ]


def test_a_failure_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 1))
    with pytest.raises(ClientError, match="serve was not measured"):
        CliRunner().invoke(app, ["bench", "serve"], catch_exceptions=False)


def test_it_knows_the_groups_of_the_bench() -> None:
    assert [group.value for group in bench.Group] == list(GROUPS)
