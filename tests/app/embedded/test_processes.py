import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.embedded.processes import LOG_LIMIT_BYTES, start_service, stop_in_steps, tail, tethered

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def test_the_program_replaces_the_launcher() -> None:
    command = tethered([sys.executable, "-c", "import os; print(os.getpid())"], death_signal=signal.SIGKILL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert int(process.communicate()[0]) == process.pid


def test_a_launcher_whose_parent_is_gone_does_not_run_the_program() -> None:
    command = tethered([sys.executable, "-c", "print('ran')"], death_signal=signal.SIGKILL)
    command[command.index(str(os.getpid()))] = "1" if os.getpid() != 1 else "2"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "gone" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_is_given_up() -> None:
    program = ["/bin/sh", "-c", "id -un"]
    done = subprocess.run(
        tethered(program, death_signal=signal.SIGKILL, user="nobody"),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert done.stdout.strip() == "nobody"


def test_a_deaf_process_is_killed_after_its_time(tmp_path: Path) -> None:
    log = tmp_path / "deaf.log"
    process = start_service([sys.executable, "-c", _STUBBORN], death_signal=signal.SIGKILL, user="", log=log)
    while "deaf" not in tail(log):
        time.sleep(0.01)
    stop_in_steps(process, [(signal.SIGTERM, 0.2)])
    assert process.returncode == -signal.SIGKILL


def test_a_long_log_makes_room_once(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "program.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))
    program = [sys.executable, "-c", "import sys; print(sys.stdin.read())"]
    start_service(program, death_signal=signal.SIGKILL, user="", log=log, text="fed").wait(10)
    assert log.read_text().strip() == "fed"
    assert (log.parent / "program.log.1").stat().st_size == LOG_LIMIT_BYTES + 1


def test_tail_of_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log") == ""
