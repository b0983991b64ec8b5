"""Events on their way: collected into batches, and not forgotten before the service has them."""

import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from crossan.client.shelf import EventFile, Shelf


@dataclass(eq=False)
class Batch:
    """Events that are sent together; `file` holds them too if they are to outlive the process."""

    events: list[dict[str, Any]] = field(default_factory=list)
    file: EventFile | None = None
    began: float = field(default_factory=time.monotonic)
    sealed: bool = False


class Outbox:
    """A queue of batches. It does no networking and no waiting, and its owner guards it against concurrent use.

    Args:
        shelf: where events lie that outlive the process.
        journal: whether every event does, from `put` on.
        max_batch: events in a batch.
    """

    def __init__(self, shelf: Shelf, *, journal: bool, max_batch: int) -> None:
        self._shelf = shelf
        self._journal = journal
        self._max_batch = max_batch
        self._batches = deque(Batch(events, file, sealed=True) for file, events in shelf.adopt())

    @property
    def count(self) -> int:
        """Events that have not arrived yet."""
        return sum(len(batch.events) for batch in self._batches)

    def put(self, event: Mapping[str, Any]) -> None:
        """Add one event; with an id and a time of its own it stays the same however often it is sent."""
        complete = {"event_id": uuid.uuid4().hex, "timestamp": datetime.now(UTC).isoformat(), **event}
        if not self._batches or self._batches[-1].sealed:
            self._batches.append(Batch(file=self._shelf.new() if self._journal else None))
        batch = self._batches[-1]
        if batch.file is not None:
            batch.file.append(complete)
        batch.events.append(complete)
        batch.sealed = len(batch.events) >= self._max_batch

    def due(self, max_delay_s: float) -> float | None:
        """Seconds until the oldest batch should leave, 0 if it is full or late; None when there is none."""
        if not self._batches:
            return None
        oldest = self._batches[0]
        return 0.0 if oldest.sealed else max(0.0, oldest.began + max_delay_s - time.monotonic())

    def first(self) -> Batch | None:
        """The oldest batch, closed to further events; it stays until it is `done`."""
        if not self._batches:
            return None
        self._batches[0].sealed = True
        return self._batches[0]

    def done(self, batch: Batch) -> None:
        """The batch has arrived, or been put away meanwhile: the service knows its events again."""
        if batch in self._batches:
            self._batches.remove(batch)
            if batch.file is not None:
                batch.file.remove()

    def keep(self) -> int:
        """Put everything away for another writer; how many events that are."""
        kept = self.count
        for batch in self._batches:
            if batch.file is not None:
                batch.file.leave()
            elif batch.events:
                self._shelf.keep(batch.events)
        self._batches.clear()
        return kept
