"""A whole import: items first, then events."""

import time
from pathlib import Path

from app.cli.importer.events import EventImport, Journal
from app.cli.importer.folder import read_events, read_items
from app.cli.importer.items import ItemImport
from app.cli.importer.report import Advance, ImportReport
from crossan.client import AsyncClient, ClientError


async def import_folder(
    client: AsyncClient,
    folder: Path,
    *,
    concurrency: int,
    advance: Advance = lambda what, count: None,
    cache: Path | None = None,
) -> ImportReport:
    """Send what the service lacks of a folder; may be interrupted and run again at any time.

    Args:
        client: Connection to the service.
        folder: Holds items.csv and, perhaps, events.csv.
        concurrency: Requests at once.
        advance: Told of progress.
        cache: Where the journal lies; by default the user's cache folder.

    Returns:
        Counts, and what failed by itself.

    Raises:
        ClientError: The folder is not of the format, or the service is away or refuses the key.
    """
    report = ImportReport()
    started = time.monotonic()
    events = folder / "events.csv"
    try:
        await ItemImport(client, report, advance).run(read_items(folder), concurrency=concurrency)
        if events.is_file():
            journal = Journal(events, url=client.url, key=client.key, cache=cache)
            await EventImport(client, report, advance, journal=journal).run(
                read_events(events), concurrency=concurrency
            )
    except BaseExceptionGroup as group:
        raise _first_client_error(group) from group
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _first_client_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """One task's failure ends all of them; the first one that a person can act on, else the group as it is."""
    expected, _ = group.split(ClientError)
    error: BaseException = expected or group
    while isinstance(error, BaseExceptionGroup) and expected:
        error = error.exceptions[0]
    return error


def count_rows(path: Path) -> int:
    """About how many rows a CSV file has (line breaks inside quotes count), for a progress bar."""
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return max(sum(1 for _ in file) - 1, 0)
