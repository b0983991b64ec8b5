"""Starting a tethered process, and ending one in steps."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.embedded import tether

LOG_LIMIT_BYTES = 10_000_000


def tethered(arguments: Sequence[str], *, death_signal: signal.Signals, user: str = "") -> list[str]:
    """The command line that runs `arguments` (first: an absolute path) so that it does not outlive this thread."""
    launcher = [sys.executable, "-I", "-S", str(Path(tether.__file__).resolve())]
    return [*launcher, str(os.getpid()), str(int(death_signal)), user, *arguments]


def start_service(
    arguments: Sequence[str],
    *,
    death_signal: signal.Signals,
    user: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    text: str | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a service in a session of its own (so that a terminal's Ctrl-C does not reach it), its output in `log`.

    Args:
        arguments: Program (absolute path) and its arguments.
        death_signal: Sent to it if this process dies.
        user: System user to run as; empty for the caller's own.
        log: File to append to; one older generation is kept.
        environment: Variables added to this process's own.
        text: What it reads on its standard input, which is closed after that.
    """
    with _open_log(log) as output:
        process = subprocess.Popen(
            tethered(arguments, death_signal=death_signal, user=user),
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    if text is not None and process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(text.encode())
    return process


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def stop_in_steps(process: "subprocess.Popen[bytes]", steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal in turn and give its seconds, until the process has ended; SIGKILL to what remains."""
    for number, patience_s in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    if process.poll() is None:
        process.kill()
        process.wait()


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.is_file() else ""
