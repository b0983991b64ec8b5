"""How writers of events behave."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crossan.client.types import EventReport

log = logging.getLogger(__name__)
MOST_IN_A_REQUEST = 1_000


@dataclass(frozen=True)
class WriterPolicy:
    """Sizes and times of a writer.

    Attributes:
        max_batch: events in a request, at most 1,000.
        max_delay_s: longest time an event waits for others.
        max_waiting: events that may wait in memory; who writes more is held up.
        exit_timeout_s: how long the end waits for what is left.
    """

    max_batch: int = 500
    max_delay_s: float = 1.0
    max_waiting: int = 100_000
    exit_timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch <= MOST_IN_A_REQUEST:
            raise ValueError(f"max_batch: must be 1 to {MOST_IN_A_REQUEST:,}, it is {self.max_batch:,}")


def log_rejected(events: Sequence[Mapping[str, Any]], report: EventReport) -> None:
    """Name every event that the service will never take."""
    if not report["rejected"]:
        return
    for event, result in zip(events, report["results"], strict=True):
        if result["status"] == "rejected":
            log.error("event rejected: %s: %s", event.get("event_id"), result.get("errors"))
