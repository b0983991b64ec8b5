"""`crossan import`: a folder of items, media and events, through the REST API."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from app.cli.importer.report import ImportReport
from app.cli.importer.run import count_rows, import_folder
from app.cli.options import AsJson, Key, Url, connect
from app.cli.output import console, notes, print_json
from app.cli.progress import bars

_ATTEMPTS = 8
_SHOWN_FAILURES = 20


def import_(
    folder: Annotated[Path, typer.Argument(help="Holds items.csv, events.csv and the media files they name.")],
    *,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once.")] = 8,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Import a folder. Run it again after an interruption: it sends only what is missing."""

    async def run() -> ImportReport:
        totals = {name: count_rows(folder / f"{name}.csv") for name in ("items", "events")}
        async with connect(url, key, attempts=_ATTEMPTS) as client:
            with bars(totals, hidden=as_json) as advance:
                return await import_folder(client, folder, concurrency=concurrency, advance=advance)

    report = asyncio.run(run())
    if as_json:
        print_json(report.document())
    else:
        _show(report)
    if report.failed:
        raise typer.Exit(1)


def _show(report: ImportReport) -> None:
    console.print(
        f"items   {report.items_sent} sent with {report.media_sent} media, {report.items_unchanged} unchanged"
    )
    console.print(
        f"events  {report.events_accepted} accepted, {report.events_duplicate} known to the service, "
        f"{report.events_skipped} sent by an earlier run"
    )
    console.print(f"time    {report.seconds:.1f} s")
    if report.failed:
        notes.print(f"[red]{report.failed} failed:[/]")
    for failure in report.failures[:_SHOWN_FAILURES]:
        notes.print(f"  {failure.where}: {failure.error}", markup=False)
    if report.failed > _SHOWN_FAILURES:
        notes.print("  … and more; --json lists the first hundred.")
