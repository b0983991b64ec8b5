"""The process that searches, as seen from the terminal: started, watched, shown, and stopped with a result."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.text import Text

from app.cli.output import notes
from app.embedded.processes import tethered
from crossan.client import ClientError

WORKER = ("-m", "worker.tune")
"""What Python runs; the order follows."""
SHOWN_ERROR = 2_000
"""Characters of what a broken search has written to stderr."""

Event = Mapping[str, Any]


def run_search(order: Mapping[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Search in a process of its own (this one never loads torch), and show how it goes unless `quiet`.

    Args:
        order: the fields of `worker.tune.Order`.
        quiet: show nothing.

    Raises:
        ClientError: it ended without a result; the message says why.
    """
    result: dict[str, Any] | None = None
    with tempfile.TemporaryFile() as errors, _child(order, errors) as child, _shown(order, quiet=quiet) as show:
        for line in child.stdout or ():
            event = json.loads(line)
            kind = event.pop("event")
            if kind == "error":
                raise ClientError(f"{event['title']}: {event['detail']}")
            if kind == "result":
                result = event
            else:
                show(kind, event)
        code = child.wait()
        if result is None:
            raise ClientError(_what_broke(code, errors))
    return result


@contextmanager
def _child(order: Mapping[str, Any], errors: IO[bytes]) -> Iterator["subprocess.Popen[str]"]:
    """The process, out of reach of the terminal's Ctrl-C: the first one asks it to end, the second one ends it."""
    with subprocess.Popen(
        tethered([sys.executable, *WORKER, json.dumps(order)], death_signal=signal.SIGTERM),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    ) as child:
        asked: list[int] = []

        def stop(number: int, frame: object) -> None:
            child.kill() if asked else child.terminate()
            asked.append(number)

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield child
        finally:
            signal.signal(signal.SIGINT, before)
            child.terminate()


def _what_broke(code: int, errors: IO[bytes]) -> str:
    if code == -signal.SIGTERM:
        return "The search was ended before it had begun."
    errors.seek(0)
    said = errors.read().decode(errors="replace").strip()[-SHOWN_ERROR:]
    return f"The search ended unexpectedly (code {code}); the same command goes on where it stopped.\n{said}".rstrip()


@contextmanager
def _shown(order: Mapping[str, Any], *, quiet: bool) -> Iterator[Callable[[str, Event], None]]:
    """A bar of the time with the trial, the best so far and the time left; and a line for each ended trial."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), _TimeLeft())
    hidden = quiet or not notes.is_terminal
    with Progress(*columns, console=notes, disable=hidden, transient=True) as progress:
        yield _Display(progress, order, quiet=quiet).show


class _TimeLeft(ProgressColumn):
    """Minutes and seconds until the budget is used up."""

    def render(self, task: Task) -> Text:
        """As 'mm:ss left'."""
        left = max(0, round((task.total or 0.0) - (task.elapsed or 0.0)))
        return Text(f"{left // 60:02}:{left % 60:02} left")


class _Display:
    """What a person sees of a search."""

    def __init__(self, progress: Progress, order: Mapping[str, Any], *, quiet: bool) -> None:
        self._progress = progress
        self._bar = progress.add_task("reading the data", total=60.0 * order["minutes"])
        self._started = time.monotonic()
        self._study = order["study"]
        self._quiet = quiet
        self._best: tuple[float, int] | None = None

    def show(self, kind: str, event: Event) -> None:
        """Take one event of the search into account."""
        text = {"data": self._data, "epoch": self._epoch, "ended": self._ended}[kind](event)
        self._progress.update(self._bar, description=text, completed=time.monotonic() - self._started)

    def _note(self, line: str) -> None:
        if not self._quiet:
            notes.print(line, markup=False, soft_wrap=True)

    def _data(self, event: Event) -> str:
        self._note(f"study {self._study} · {event['items']} items, {event['events']} events of {event['users']} users")
        if earlier := sum(event["trials"].values()):
            self._note(f"  goes on after {earlier} trials")
        if event["before"] and event["before"]["events"] != event["events"]:
            self._note(
                f"  the study began with {event['before']['events']} events: its earlier trials were judged by those"
            )
        best = event["best"]
        self._best = (best["ndcg10"], best["trial"]) if best else None
        return "first trial"

    def _epoch(self, event: Event) -> str:
        return self._line(f"trial {event['trial']} · epoch {event['epoch']}/{event['epochs']}")

    def _ended(self, event: Event) -> str:
        found = event["validation"]
        if found and (self._best is None or found["ndcg10"] > self._best[0]):
            self._best = (found["ndcg10"], event["trial"])
        reached = [f"NDCG@10 {found['ndcg10']:.4f}"] if found else [event["error"]] if event["error"] else []
        parts = [f"trial {event['trial']} {event['outcome']}", *reached, f"{event['seconds']:.1f} s"]
        self._note("  " + " · ".join(parts))
        return self._line(f"trial {event['trial']} {event['outcome']}")

    def _line(self, now: str) -> str:
        best = f" · best NDCG@10 {self._best[0]:.4f} (trial {self._best[1]})" if self._best else ""
        return now + best
