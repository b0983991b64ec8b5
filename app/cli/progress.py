"""Progress on the terminal: bars for counted work, a line that tells how a training goes."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from app.cli.output import notes
from crossan.client import AsyncClient

POLL_S = 0.5
LOGGED_EVERY_S = 15.0
FINISHED = frozenset({"succeeded", "failed", "cancelled"})


@contextmanager
def bars(totals: Mapping[str, int], *, hidden: bool = False) -> Iterator[Callable[[str, int], None]]:
    """One bar for each name; call what is yielded with a name and how many more are done."""
    columns = (TextColumn("  {task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, disable=hidden or not notes.is_terminal, transient=True) as progress:
        tasks: dict[str, TaskID] = {name: progress.add_task(name, total=total) for name, total in totals.items()}
        yield lambda name, count: progress.advance(tasks[name], count)


@contextmanager
def status_line(*, hidden: bool = False) -> Iterator[Callable[[str], None]]:
    """A line that is written over (where there is no terminal, one every 15 s); call what is yielded with its text."""
    if not hidden and not notes.is_terminal:
        yield _Throttled().show
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=notes, disable=hidden, transient=True) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=text)


class _Throttled:
    """Prints now and then, for logs."""

    def __init__(self) -> None:
        self._next = time.monotonic() + LOGGED_EVERY_S

    def show(self, text: str) -> None:
        if time.monotonic() >= self._next:
            notes.print(f"    {text}", markup=False)
            self._next = time.monotonic() + LOGGED_EVERY_S


async def follow(client: AsyncClient, training_id: str, show: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Poll a training until it has ended; `show` gets every look at it."""
    while True:
        training: dict[str, Any] = await client.get(f"/admin/trainings/{training_id}")
        show(training)
        if training["state"] in FINISHED:
            return training
        await asyncio.sleep(POLL_S)


def describe(training: Mapping[str, Any]) -> str:
    """A training in one line: 'training · epoch 3/40 · loss 5.1234 · HR@10 0.1234 · NDCG@10 0.0654'."""
    progress = training.get("progress") or {}
    parts = [str(progress.get("stage") or training["state"])]
    if progress.get("epochs"):
        parts.append(f"epoch {progress.get('epoch', 0)}/{progress['epochs']}")
    named = (("loss", "loss"), ("hr10", "HR@10"), ("ndcg10", "NDCG@10"))
    parts += [f"{title} {progress[name]:.4f}" for name, title in named if progress.get(name) is not None]
    return " · ".join(parts)
