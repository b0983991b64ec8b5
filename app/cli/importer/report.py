"""What an import did, and what went wrong in it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

Advance = Callable[[str, int], None]
"""Called with "items" or "events" and how many more are done."""


@dataclass(frozen=True)
class Failure:
    """One thing that was not imported: where it stands, and why."""

    where: str
    error: str


@dataclass
class ImportReport:
    """Counts of an import; `failures` lists at most `listed` of `failed`."""

    items_sent: int = 0
    items_unchanged: int = 0
    media_sent: int = 0
    events_accepted: int = 0
    events_duplicate: int = 0
    events_skipped: int = 0
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    listed: int = 100

    def fail(self, where: str, error: str) -> None:
        """Count a failure, and keep the first hundred."""
        self.failed += 1
        if len(self.failures) < self.listed:
            self.failures.append(Failure(where, error))

    def document(self) -> dict[str, Any]:
        """For --json."""
        return {name: value for name, value in asdict(self).items() if name != "listed"}
