"""A comparison on the terminal: how far it is, and its table."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rich.console import Console

from app.cli.comparing.children import Job
from app.cli.output import notes, table
from model.compare.report import Mean, Row

TABLE_COLUMNS = 180
"""At least so wide is the table drawn; a terminal that is narrower breaks its lines."""


class Counted(Protocol):
    """A comparison, as far as it is counted here."""

    results: list[dict[str, Any] | None]
    dataset: Mapping[str, Any]

    @property
    def undescribed(self) -> int:
        """How many items have no medium of one of the subsets."""

    @property
    def skipped(self) -> Mapping[str, str]:
        """Baselines that cannot be computed here, and why."""


class Watch:
    """Tells a person how a comparison goes.

    Args:
        line: written over, see `app.cli.progress.status_line`.
    """

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._done = self._all = 0

    def begin(self, comparison: Counted) -> None:
        """Says what the dataset is and how much is to be done."""
        dataset = comparison.dataset
        self._all = len(comparison.results)
        self._done = sum(result is not None for result in comparison.results)
        notes.print(
            f"{dataset['items']} items, {dataset['users']} users, {dataset['events']} events; left out of all rows: "
            f"{comparison.undescribed} items without a medium of one of the subsets, "
            f"{dataset['left_out']} more whose media could not be encoded",
            soft_wrap=True,
        )
        for failure in dataset["failed"]:
            notes.print(f"  {failure}", markup=False, soft_wrap=True)
        for name, reason in comparison.skipped.items():
            notes.print(f"{name} is skipped: it {reason}", markup=False, soft_wrap=True)
        notes.print(f"{self._all} runs, {self._done} of them done by an earlier command")

    def show(self, running: Mapping[Job, Mapping[str, Any]]) -> None:
        """Says what runs."""
        parts = [f"{job.title} {_progress(progress)}".rstrip() for job, progress in running.items()]
        count = f"{self._done}/{self._all} · " if self._all else ""
        self._line(count + " | ".join(parts))

    def finished(self, job: Job, result: Mapping[str, Any]) -> None:
        """Says what came out of one run."""
        self._done += 1
        if "error" in result:
            notes.print(f"  {job.title}: {result['error']}", style="red", markup=False, soft_wrap=True)
            return
        test = result["metrics"]["test"]
        epochs = f" · best of {result['epochs']} epochs {result['best_epoch']}" if "epochs" in result else ""
        notes.print(
            f"  {job.title} · HR@10 {test['hr10']:.4f} · NDCG@10 {test['ndcg10']:.4f}{epochs} · "
            f"{result['seconds']:.1f} s",
            markup=False,
            soft_wrap=True,
        )


def _progress(progress: Mapping[str, Any]) -> str:
    if "of" in progress:
        return f"{progress['modality']} {progress['done']}/{progress['of']}"
    if "epoch" in progress:
        return f"epoch {progress['epoch']}/{progress['epochs']} NDCG@10 {progress['ndcg10']:.4f}"
    return ""


HEADS = (
    "method",
    "modalities",
    "HR@10",
    "NDCG@10",
    "MRR",
    "cov@10",
    "cold HR@50",
    "s/epoch",
    "cpu s",
    "best",
    "peak MB",
    "params",
    "TPME",
)


def print_table(rows: list[Row], *, seeds: int) -> None:
    """Prints the rows; ± is the standard error over seeds. What does not fit breaks in the first two columns."""
    drawn = table(HEADS, [cells_of(row) for row in rows], title=_title(rows, seeds))
    drawn.padding = (0, 1, 0, 0)
    for column in drawn.columns[2:]:
        column.no_wrap = True
    console = Console(highlight=False)
    console.width = max(console.width, TABLE_COLUMNS)
    console.print(drawn)
    for row in rows:
        for error in row.errors:
            where = " ".join(part for part in (row.label, ",".join(row.modalities)) if part)
            console.print(f"{where} failed: {error}", markup=False, style="red", soft_wrap=True)


def _title(rows: list[Row], seeds: int) -> str:
    targets = sorted({row.cold_targets for row in rows if row.cold_targets is not None})
    cold = f"; cold: targets with at most 5 training events ({', '.join(map(str, targets))})" if targets else ""
    return f"Test, {seeds} seeds, mean ± standard error{cold}"


def cells_of(row: Row) -> list[str | None]:
    """Returns the cells of a row, as text."""
    name = row.label + (f" ({len(row.errors)} failed)" if row.errors else "")
    name += f" ({row.waiting} waiting)" if row.waiting else ""
    quality = [_mean(row.quality.get(metric), 1.0, 4) for metric in ("hr10", "ndcg10", "mrr")]
    return [
        name,
        ",".join(row.modalities) or None,
        *quality,
        _mean(row.quality.get("coverage10"), 1.0, 3),
        _mean(row.cold, 1.0, 3),
        _mean(row.seconds, 1.0, 2),
        _mean(row.cpu_seconds, 1.0, 2),
        _mean(row.best_epoch, 1.0, 1),
        _mean(row.peak_bytes, 1e-6, 0),
        None if row.parameters is None else f"{row.parameters:,}",
        None if row.tpme is None else f"{row.tpme:.4f}",
    ]


def _mean(value: Mean | None, scale: float, digits: int) -> str | None:
    if value is None:
        return None
    error = "" if value.error is None else f" ±{value.error * scale:.{digits}f}"
    return f"{value.mean * scale:.{digits}f}{error}"
