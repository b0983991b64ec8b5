import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import __main__ as frame
from bench import latest
from bench.measuring import Figure, Options, Skipped

FOUND = Figure(0.5, 0.01, 2.0, 3)


def some(options: Options) -> Iterator[tuple[str, Figure]]:
    """A group with one figure, and another that can't be measured here."""
    assert (options.quick, options.runs, options.only) == (True, 3, frozenset({"tail"}))
    yield "tail", FOUND
    raise Skipped("no encoders")


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "latest.json"
    monkeypatch.setattr(latest.merge, "__defaults__", (path,))
    monkeypatch.setattr(frame.importlib, "import_module", lambda name: SimpleNamespace(measure=some))
    return path


def test_what_was_found_before_a_group_was_skipped_is_kept(
    path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert frame.main(["serve", "--quick", "--runs", "3", "--only", "tail", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"tail": latest.entry(FOUND)}
    assert latest.read(path) == {"tail": FOUND}
    assert "serve skipped: no encoders" in caplog.messages


def test_processor_time_is_shown_and_not_kept(path: Path) -> None:
    assert frame.main(["serve", "--quick", "--runs", "3", "--only", "tail", "--by-cpu"]) == 0
    assert not path.exists()


def test_without_a_name_every_group_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, int("topk" in command))

    monkeypatch.setattr(frame.subprocess, "run", run)
    assert frame.main(["--quick"]) == 1
    assert commands == [[sys.executable, "-m", "bench", group, "--quick"] for group in frame.ALL]


def test_encoders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(frame.ENCODERS, str(tmp_path))
    assert frame._options(frame._parser().parse_args(["encode"])).encoders == tmp_path
