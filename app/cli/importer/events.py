"""Sends events in batches: users in parallel, the events of one user always in the order of the file."""

import asyncio
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from app.cli.importer.report import Advance, ImportReport
from crossan.client import ApiError, AsyncClient

PARTITIONS = 16
BATCH = 500
_QUEUED_BATCHES = 4

Row = tuple[int, dict[str, Any]]


class Journal:
    """How many batches of each partition a service has confirmed, kept between runs in the user's cache folder.

    It only saves work: events are idempotent, and a service that has lost them is found out by the first batch.
    """

    def __init__(self, events: Path, *, url: str, key: str, cache: Path | None = None) -> None:
        digest = hashlib.sha256(f"{url} {hashlib.sha256(key.encode()).hexdigest()} {PARTITIONS} {BATCH} ".encode())
        with events.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        self._path = (cache or _cache_folder()) / f"import-{digest.hexdigest()[:32]}.json"
        self.done = self._read()

    def _read(self) -> list[int]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            found = None
        return found if isinstance(found, list) and len(found) == PARTITIONS else [0] * PARTITIONS

    def confirm(self, partition: int, batches: int) -> None:
        """Note that the first `batches` of a partition have arrived."""
        self.done[partition] = batches
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(self.done))
        temporary.replace(self._path)


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossan"


def partition_of(user_id: str) -> int:
    """The same for every event of a user, in every run."""
    return zlib.crc32(user_id.encode()) % PARTITIONS


class EventImport:
    """One pass over events.

    Args:
        client: Connection to the service; its retries apply to every request.
        report: Takes counts and failures.
        advance: Told of every row that is done.
        journal: What earlier runs have sent.
    """

    def __init__(self, client: AsyncClient, report: ImportReport, advance: Advance, *, journal: Journal) -> None:
        self._client = client
        self._report = report
        self._advance = advance
        self._journal = journal

    async def run(self, rows: Iterable[tuple[int, dict[str, Any] | str]], *, concurrency: int) -> None:
        """Send every event that no earlier run has sent.

        Raises:
            ApiError: The key is not valid for this.
            Unreachable: The service went away; a second run goes on from there.
        """
        queues: list[asyncio.Queue[list[Row] | None]] = [asyncio.Queue(_QUEUED_BATCHES) for _ in range(PARTITIONS)]
        slots = asyncio.Semaphore(concurrency)
        async with asyncio.TaskGroup() as group:
            for partition, queue in enumerate(queues):
                group.create_task(self._send_partition(partition, queue, slots))
            group.create_task(self._distribute(rows, queues))

    async def _distribute(
        self, rows: Iterable[tuple[int, dict[str, Any] | str]], queues: list[asyncio.Queue[list[Row] | None]]
    ) -> None:
        open_batches: list[list[Row]] = [[] for _ in queues]
        for line, event in rows:
            if isinstance(event, str):
                self._report.fail(f"events.csv line {line}", event)
                self._advance("events", 1)
                continue
            partition = partition_of(event["user_id"])
            open_batches[partition].append((line, event))
            if len(open_batches[partition]) == BATCH:
                await queues[partition].put(open_batches[partition])
                open_batches[partition] = []
        for queue, batch in zip(queues, open_batches, strict=True):
            if batch:
                await queue.put(batch)
            await queue.put(None)

    async def _send_partition(
        self, partition: int, queue: "asyncio.Queue[list[Row] | None]", slots: asyncio.Semaphore
    ) -> None:
        done = self._journal.done[partition]
        number = 0
        while (batch := await queue.get()) is not None:
            if 0 < number < done:
                self._report.events_skipped += len(batch)
            else:
                async with slots:
                    accepted = await self._send(batch)
                if number < done and accepted:
                    done = 0
                self._journal.confirm(partition, max(done, number + 1))
            number += 1
            self._advance("events", len(batch))

    async def _send(self, batch: list[Row]) -> int:
        """Send one batch; how many of its events the service did not have."""
        try:
            answer = await self._client.send_events([event for _, event in batch])
        except ApiError as error:
            if error.status in (401, 403) or error.status >= 500:
                raise
            self._report.fail(f"events.csv lines {batch[0][0]}-{batch[-1][0]}", str(error))
            return 0
        self._report.events_accepted += answer["accepted"]
        self._report.events_duplicate += answer["duplicates"]
        for (line, _), result in zip(batch, answer["results"], strict=True):
            if result["status"] == "rejected":
                self._report.fail(f"events.csv line {line}", _reason(result))
        return int(answer["accepted"])


def _reason(result: Mapping[str, Any]) -> str:
    errors = result.get("errors") or []
    named = "; ".join(f"{error.get('field')}: {error.get('message')}" for error in errors)
    return named or str(result.get("error") or "rejected")
