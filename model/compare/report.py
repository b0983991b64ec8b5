"""From the results of cells to the table: means and standard errors over seeds, costs, and what failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from model.compare.plan import Cell, Subset
from model.compare.tpme import Cost, tpme

METRICS = ("hr10", "ndcg10", "mrr", "coverage10")
COLD = "0-5"
"""Of the slices of a report by a target's training events: the targets that are cold."""
COLD_METRIC = "hr50"
REFERENCE = "full"
"""The method that TPME is relative to."""


@dataclass(frozen=True)
class Mean:
    """A mean over n seeds; the standard error needs two of them."""

    mean: float
    error: float | None
    count: int


def mean_of(values: Sequence[float]) -> Mean | None:
    """Returns the mean and its standard error, s / sqrt(n) with n - 1 in the variance; None of no values."""
    if not values:
        return None
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Mean(mean, None, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Mean(mean, math.sqrt(variance / count), count)


@dataclass(frozen=True)
class Row:
    """All seeds of one variant on one subset of modalities.

    Attributes:
        label: of the variant.
        method: its method, or the name of a baseline.
        modalities: that it reads; empty when it reads none.
        quality: mean and standard error of each of `METRICS` that is there.
        cold: HR@50 on targets with at most 5 training events; None where there is no such target.
        cold_targets: how many these are.
        seconds: of the training steps of an epoch.
        cpu_seconds: that all processors worked on them; it says more than `seconds` on a machine that is shared.
        best_epoch: epochs to the best one.
        peak_bytes: of memory above what was there before the first step.
        parameters: that train.
        tpme: relative to `full` on the same modalities; None without it.
        errors: of seeds that failed.
        waiting: seeds that have no result yet.
    """

    label: str
    method: str
    modalities: Subset
    quality: Mapping[str, Mean] = field(default_factory=dict)
    cold: Mean | None = None
    cold_targets: int | None = None
    seconds: Mean | None = None
    cpu_seconds: Mean | None = None
    best_epoch: Mean | None = None
    peak_bytes: Mean | None = None
    parameters: int | None = None
    tpme: float | None = None
    errors: Sequence[str] = ()
    waiting: int = 0

    @property
    def cost(self) -> Cost | None:
        """What it takes, if all of that is known."""
        if self.seconds is None or self.peak_bytes is None or self.parameters is None:
            return None
        return Cost(self.seconds.mean, self.parameters, self.peak_bytes.mean)

    def document(self) -> dict[str, Any]:
        """Returns it for JSON."""
        return asdict(self)


def rows_of(cells: Sequence[Cell], results: Sequence[Mapping[str, Any] | None]) -> list[Row]:
    """Returns the rows in the order of the cells.

    Args:
        cells: the whole plan.
        results: of each cell, its document, {"error": …} if it failed, or None if there is none yet.
    """
    grouped: dict[tuple[str, str, Subset], list[Mapping[str, Any] | None]] = {}
    for cell, result in zip(cells, results, strict=True):
        grouped.setdefault((cell.label, cell.method, cell.modalities), []).append(result)
    rows = [_row(label, method, subset, found) for (label, method, subset), found in grouped.items()]
    references = {row.modalities: row.cost for row in rows if row.label == REFERENCE}
    return [replace(row, tpme=_relative(row.cost, references.get(row.modalities))) for row in rows]


def _row(label: str, method: str, subset: Subset, results: Sequence[Mapping[str, Any] | None]) -> Row:
    good = [result for result in results if result is not None and "error" not in result]
    tests: list[Mapping[str, Any]] = [result["metrics"]["test"] for result in good]
    quality = {name: mean_of([test[name] for test in tests if name in test]) for name in METRICS}
    cold = [_cold(result["metrics"]) for result in good]
    counts = [int(one["users"]) for one in cold if "users" in one]
    totals = [result["parameters"]["total"] for result in good if "parameters" in result]
    return Row(
        label,
        method,
        subset,
        quality={name: mean for name, mean in quality.items() if mean is not None},
        cold=mean_of([one[COLD_METRIC] for one in cold if COLD_METRIC in one]),
        cold_targets=max(counts, default=None),
        seconds=_mean_field(good, "seconds_per_epoch"),
        cpu_seconds=_mean_field(good, "cpu_seconds_per_epoch"),
        best_epoch=_mean_field(good, "best_epoch"),
        peak_bytes=_mean_field(good, "peak_bytes"),
        parameters=max(totals, default=None),
        errors=[str(result["error"]) for result in results if result is not None and "error" in result],
        waiting=sum(result is None for result in results),
    )


def _cold(metrics: Mapping[str, Any]) -> Mapping[str, float]:
    """Returns the metrics on cold targets, without any where a result does not tell them apart."""
    found: Mapping[str, float] = metrics.get("slices", {}).get("items_by_events", {}).get(COLD, {})
    return found


def _mean_field(results: Sequence[Mapping[str, Any]], name: str) -> Mean | None:
    return mean_of([float(result[name]) for result in results if result.get(name) is not None])


def _relative(cost: Cost | None, full: Cost | None) -> float | None:
    return None if cost is None or full is None else tpme(cost, full)
