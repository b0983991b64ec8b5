"""Runs the service's processes: collects their logs, starts again what ends, and stops all of them together."""

import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import FrameType
from typing import IO

from app.embedded.processes import tethered

GRACE_S = 10.0
_LOG_BYTES, _LOG_GENERATIONS = 5_000_000, 3
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_S = 60.0
"""A child that ran this long starts again without a pause."""
_TICK_S = 0.2
_REMEMBERED_LINES = 6


@dataclass(frozen=True)
class ChildSpec:
    """A process to keep running; `arguments[0]` is an absolute path."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_fds: Sequence[int] = ()


class Child:
    """One such process with its log; it dies with the thread that started it.

    Args:
        spec: what to run.
        folder: of the log; None shows everything as it is on standard output.
    """

    def __init__(self, spec: ChildSpec, folder: Path | None) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.due = 0.0
        self._failures = 0
        self._started = 0.0
        self._partial = b""
        self.last_lines: list[str] = []
        self.log_path = None if folder is None else folder / f"{spec.name}.log"
        self._log: logging.Handler = logging.StreamHandler(sys.stdout)
        if self.log_path is not None:
            self._log = RotatingFileHandler(
                self.log_path, maxBytes=_LOG_BYTES, backupCount=_LOG_GENERATIONS, encoding="utf-8", delay=True
            )
            self._log.setFormatter(logging.Formatter(f"%(asctime)s {spec.name} | %(message)s"))

    def start(self) -> None:
        """Start it in a session of its own, out of reach of the terminal's Ctrl-C."""
        self._started = time.monotonic()
        self.process = subprocess.Popen(
            tethered(self.spec.arguments, death_signal=signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.spec.environment},
            pass_fds=self.spec.pass_fds,
            start_new_session=True,
        )
        os.set_blocking(self.output.fileno(), False)

    @property
    def output(self) -> IO[bytes]:
        """The pipe it prints into; only after `start`."""
        if self.process is None or self.process.stdout is None:
            raise ValueError(f"{self.spec.name} does not run")
        return self.process.stdout

    def drain(self) -> bool:
        """Move what it has printed into the log, without waiting; False at the end of its output."""
        try:
            while (data := os.read(self.output.fileno(), 1 << 16)) or self._partial:
                *lines, self._partial = (self._partial + (data or b"\n")).split(b"\n")
                for line in lines:
                    self._write(line.decode(errors="replace"))
        except BlockingIOError:
            return True
        return False

    def _write(self, line: str) -> None:
        self._log.emit(logging.LogRecord("", logging.INFO, "", 0, line, None, None))
        self.last_lines = [*self.last_lines, line][-_REMEMBERED_LINES:]

    def schedule(self) -> float:
        """After an unwanted end: the seconds until the next start, twice as many each time in a row."""
        steady = time.monotonic() - self._started >= _STEADY_S
        self._failures = 0 if steady else self._failures + 1
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** (self._failures - 1), _LONGEST_PAUSE_S) if self._failures else 0.0
        self.due = time.monotonic() + pause_s
        return pause_s

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the process, or to all that it started."""
        if self.process is not None and (group or self.process.poll() is None):
            with suppress(ProcessLookupError, PermissionError):
                (os.killpg if group else os.kill)(self.process.pid, number)

    def close(self) -> None:
        """Close its pipe and log."""
        if self.process is not None:
            self.drain()
            self.output.close()
        self._log.close()


class Supervisor:
    """Keeps children running until it is told to stop; for one thread.

    Args:
        specs: What to run.
        logs: Folder of the logs; None shows them on standard output.
        note: Shows a line to the person at the console.
        revive: Starts dead bundled services again and names them; asked every second.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        logs: Path | None,
        note: Callable[[str], None],
        revive: Callable[[], list[str]],
    ) -> None:
        if logs is not None:
            logs.mkdir(parents=True, exist_ok=True)
        self._children = [Child(spec, logs) for spec in specs]
        self._note = note
        self._revive = revive
        self._selector = selectors.DefaultSelector()

    def start(self) -> None:
        """Start every child."""
        for child in self._children:
            self._start(child)

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Watch until `should_stop`; what ends meanwhile is started again."""
        next_look = 0.0
        while not should_stop():
            self._collect(_TICK_S)
            for child in self._children:
                self._look_after(child)
            if time.monotonic() >= next_look:
                for name in self._revive():
                    self._note(f"{name} had ended and runs again")
                next_look = time.monotonic() + 1.0

    def stop(self) -> None:
        """SIGTERM to all, SIGKILL after the grace to what remains and to all that they started."""
        for child in self._children:
            child.signal(signal.SIGTERM)
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until and any(self._lives(child) for child in self._children):
            self._collect(_TICK_S / 4)
        for child in self._children:
            if self._lives(child):
                self._note(f"{child.spec.name} did not end within {GRACE_S:.0f} s and is killed")
            child.signal(signal.SIGKILL, group=True)
            if child.process is not None:
                child.process.wait()
            child.close()
        self._selector.close()

    @staticmethod
    def _lives(child: Child) -> bool:
        return child.process is not None and child.process.poll() is None

    def _start(self, child: Child) -> None:
        child.start()
        self._selector.register(child.output, selectors.EVENT_READ, child)

    def _collect(self, timeout_s: float) -> None:
        if not self._selector.get_map():
            time.sleep(timeout_s)
        for key, _ in self._selector.select(timeout_s):
            if not key.data.drain():
                self._selector.unregister(key.fileobj)

    def _look_after(self, child: Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.due:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        child.drain()
        child.signal(signal.SIGKILL, group=True)
        with suppress(KeyError):
            self._selector.unregister(child.output)
        child.output.close()
        child.process = None
        pause_s = child.schedule()
        shown = "".join(f"\n    {line}" for line in child.last_lines)
        log = "" if child.log_path is None else f"; {child.log_path}"
        self._note(f"{child.spec.name} ended (code {code}), next start in {pause_s:.1f} s{log}:{shown}")


def stop_on_signals() -> threading.Event:
    """Is set by SIGINT, SIGTERM and SIGHUP."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    return stop
