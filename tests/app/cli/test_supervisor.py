import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from app.cli import supervisor as module
from app.cli.supervisor import ChildSpec, Supervisor

_LOOPS = "import time; print('working', flush=True); time.sleep(60)"
_DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
_PARENT = (
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(p.pid, flush=True); time.sleep(60)"
)


def spec(name: str, code: str, **environment: str) -> ChildSpec:
    return ChildSpec(name, [sys.executable, "-c", code], environment)


class Runner:
    """A supervisor whose notes are kept."""

    def __init__(self, logs: Path, *specs: ChildSpec, revive: Callable[[], list[str]] = list) -> None:
        self.notes: list[str] = []
        self.logs = logs
        self.supervisor = Supervisor(specs, logs=logs, note=self.notes.append, revive=revive)

    def until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        until = time.monotonic() + timeout_s
        self.supervisor.run(lambda: condition() or time.monotonic() > until)
        assert condition()

    def log(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        return path.read_text() if path.is_file() else ""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_output_goes_to_the_log_with_its_name_and_environment(tmp_path: Path) -> None:
    runner = Runner(
        tmp_path, spec("teller", "import os, time; print(os.environ['WORD'], flush=True); time.sleep(60)", WORD="tock")
    )
    runner.supervisor.start()
    runner.until(lambda: "tock" in runner.log("teller"))
    runner.supervisor.stop()
    assert runner.log("teller").rstrip().endswith("teller | tock")
    assert runner.notes == []


def test_what_ends_is_started_again_and_its_last_words_shown(tmp_path: Path) -> None:
    code = "import sys; print('no such table'); print('cut off', end=''); sys.exit(3)"
    runner = Runner(tmp_path, spec("faller", code))
    runner.supervisor.start()
    runner.until(lambda: len(runner.notes) == 2)
    runner.supervisor.stop()
    assert "faller ended (code 3), next start in 0.5 s" in runner.notes[0]
    assert "next start in 1.0 s" in runner.notes[1]
    assert "no such table\n    cut off" in runner.notes[0]
    assert runner.log("faller").count("no such table") == 2


def test_the_pause_grows_to_half_a_minute_and_a_steady_child_starts_at_once(tmp_path: Path) -> None:
    child = module.Child(spec("x", ""), tmp_path)
    child._started = time.monotonic()
    # 0.5 · 2^k, at most 30
    assert [child.schedule() for _ in range(8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    child._started = time.monotonic() - 61.0
    assert child.schedule() == 0.0


def test_stop_asks_first_and_kills_what_is_deaf_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.5)
    runner = Runner(tmp_path, spec("deaf", _DEAF), spec("parent", _PARENT))
    runner.supervisor.start()
    runner.until(lambda: "deaf" in runner.log("deaf") and runner.log("parent") != "")
    grandchild = int(runner.log("parent").split()[-1])
    assert alive(grandchild)
    runner.supervisor.stop()
    assert [note for note in runner.notes if "is killed" in note] == ["deaf did not end within 0 s and is killed"]
    assert psutil.wait_procs([psutil.Process(grandchild)] if alive(grandchild) else [], timeout=5)[1] == []


def test_dead_services_are_revived_and_named(tmp_path: Path) -> None:
    answers = iter([["Valkey"], []])
    runner = Runner(tmp_path, revive=lambda: next(answers, []))
    runner.until(lambda: bool(runner.notes))
    assert runner.notes == ["Valkey had ended and runs again"]


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.cli.supervisor import ChildSpec, Supervisor\n"
        f"specs = [ChildSpec('child', [sys.executable, '-c', {_LOOPS!r}])]\n"
        "s = Supervisor(specs, logs=Path(sys.argv[1]), note=lambda line: None, revive=list)\n"
        "s.start()\ns.run(lambda: False)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    log = tmp_path / "child.log"
    while not (log.is_file() and "working" in log.read_text()):
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(children, timeout=5)[1] == []


def test_without_a_folder_of_logs_output_is_shown_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(
        [spec("teller", 'import time; print(\'{"event": "tock"}\', flush=True); time.sleep(60)')],
        logs=None,
        note=lambda line: None,
        revive=list,
    )
    supervisor.start()
    shown = ""
    until = time.monotonic() + 20

    def has_come() -> bool:
        nonlocal shown
        shown += capfd.readouterr().out
        return "tock" in shown or time.monotonic() > until

    supervisor.run(has_come)
    supervisor.stop()
    assert shown == '{"event": "tock"}\n'
