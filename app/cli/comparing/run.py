"""A whole comparison: what is asked, what is planned, what is still to be done, and the document of it all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.comparing.catalogue import Catalogue, read_catalogue
from app.cli.comparing.children import Job, run_jobs
from app.cli.comparing.encoding import encode
from app.cli.comparing.lock import locked
from app.cli.comparing.show import Watch
from app.core.config import Settings
from crossan.client import ClientError
from model.compare.files import ERROR, RESULT, read_json
from model.compare.plan import (
    BASELINES,
    Cell,
    Overrides,
    Subset,
    keeps_media,
    parse_overrides,
    parse_subsets,
    parse_variants,
    plan_cells,
    skipped_baselines,
)
from model.compare.report import Row, rows_of
from model.options import ConfigError

CELL, BASELINE = "model.compare.cell", "model.compare.baseline"


@dataclass(frozen=True)
class Order:
    """What a comparison is asked for, as the command line has it."""

    folder: Path
    methods: Sequence[str]
    modalities: Sequence[str] = ()
    settings: Sequence[str] = ()
    seeds: int = 3
    items: int | None = None
    users: int | None = None
    baselines: bool = True
    jobs: int = 1
    threads: int = 1


@dataclass(frozen=True)
class Plan:
    """The cells of an order, on its catalogue.

    Attributes:
        catalogue: the items that every subset can describe.
        subsets: of modalities.
        cells: the runs.
        undescribed: how many items of the folder have no medium of one of the subsets.
        skipped: baselines that cannot be computed here, and why.
    """

    catalogue: Catalogue
    subsets: Sequence[Subset]
    cells: Sequence[Cell]
    undescribed: int
    skipped: Mapping[str, str]


@dataclass
class Comparison:
    """What is compared, on what, and what has come out so far.

    Attributes:
        order: as it was given.
        plan: its cells.
        dataset: what `model.compare.encode` says of it.
        results: of each cell: its document, {"error": …}, or None.
    """

    order: Order
    plan: Plan
    dataset: Mapping[str, Any]
    results: list[dict[str, Any] | None]

    @property
    def rows(self) -> list[Row]:
        """The table."""
        return rows_of(self.plan.cells, self.results)

    @property
    def undescribed(self) -> int:
        """How many items of the folder have no medium of one of the subsets."""
        return self.plan.undescribed

    @property
    def skipped(self) -> Mapping[str, str]:
        """Baselines that cannot be computed here, and why."""
        return self.plan.skipped

    @property
    def failed(self) -> int:
        """How many cells ended without a result."""
        return sum(result is not None and "error" in result for result in self.results)

    def document(self) -> dict[str, Any]:
        """Returns everything for JSON."""
        cells = zip(self.plan.cells, self.results, strict=True)
        return {
            "folder": str(self.order.folder),
            "dataset": dict(self.dataset),
            "items_undescribed": self.undescribed,
            "items_asked": self.order.items,
            "users_asked": self.order.users,
            "seeds": self.order.seeds,
            "threads": self.order.threads,
            "cells_at_once": self.order.jobs,
            "skipped": dict(self.skipped),
            "table": [row.document() for row in self.rows],
            "cells": [{**cell.document(), **(result or {"waiting": True})} for cell, result in cells],
        }


def plan(order: Order, settings: Settings) -> Plan:
    """Reads the folder and the options.

    Raises:
        ClientError: the folder or an option cannot be used.
    """
    with _as_client_error():
        variants = parse_variants(order.methods)
        overrides: Overrides = parse_overrides(order.settings, variants)
    kinds = settings.media_kinds
    catalogue = read_catalogue(order.folder, kinds)
    there = [name for name in kinds if name in catalogue.modalities]
    with _as_client_error():
        subsets = parse_subsets(order.modalities, there)
        skipped = skipped_baselines() if order.baselines else {}
        baselines = [name for name in BASELINES if name not in skipped] if order.baselines else []
        cells = plan_cells(variants, overrides, subsets, seeds=order.seeds, baselines=baselines)
    described = catalogue.describable(subsets)
    chosen = described.most_active(items=order.items, users=order.users)
    if not len(chosen.events.items):
        raise ClientError("No events are left about items that every subset of modalities can describe.")
    return Plan(chosen, subsets, cells, undescribed=len(catalogue.ids) - len(described.ids), skipped=skipped)


@contextmanager
def _as_client_error() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        raise ClientError(str(error)) from error


def compare(order: Order, settings: Settings, *, cache: Path, work: Path, watch: Watch) -> Iterator[Comparison]:
    """Runs what no earlier run has finished; yields the comparison before the first cell and after each.

    Raises:
        ClientError: the folder or an option cannot be used, the media cannot be encoded, or another process works in
            the same folder.
    """
    planned = plan(order, settings)
    with locked(work):
        yield from _run(order, planned, settings, folders={"cache": cache, "work": work}, watch=watch)


def _run(
    order: Order, planned: Plan, settings: Settings, *, folders: Mapping[str, Path], watch: Watch
) -> Iterator[Comparison]:
    dataset = encode(
        planned.catalogue,
        planned.subsets,
        settings,
        folders=folders,
        keeps_media=keeps_media(planned.cells),
        threads=order.threads,
        show=watch.show,
    )
    jobs = [_job(cell, dataset, folders["work"], threads=order.threads) for cell in planned.cells]
    found = Comparison(order, planned, dataset, [_finished(job) for job in jobs])
    watch.begin(found)
    yield found
    todo = [
        job.prepare({**cell.document(), **_where(dataset, order.threads)})
        for job, cell, result in zip(jobs, planned.cells, found.results, strict=True)
        if result is None
    ]
    numbers = {job: number for number, job in enumerate(jobs)}
    for job, result in run_jobs(todo, at_once=order.jobs, threads=order.threads, show=watch.show):
        found.results[numbers[job]] = result
        watch.finished(job, result)
        yield found


def _job(cell: Cell, dataset: Mapping[str, Any], work: Path, *, threads: int) -> Job:
    key = cell.key(dataset=dataset["fingerprint"], device=dataset["device"], threads=threads)
    parts = [cell.label, ",".join(cell.modalities), "" if cell.is_baseline else f"seed {cell.seed}"]
    title = " · ".join(part for part in parts if part)
    return Job(BASELINE if cell.is_baseline else CELL, work / "cells" / key, title)


def _where(dataset: Mapping[str, Any], threads: int) -> dict[str, Any]:
    return {"dataset": dataset["dataset"], "device": dataset["device"], "threads": threads}


def _finished(job: Job) -> dict[str, Any] | None:
    """Returns what an earlier run has found; a failure is tried again."""
    return None if (job.folder / ERROR).exists() else read_json(job.folder / RESULT)
