"""The answer to each line of a batch or stream, and what they add up to."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field


def as_line(document: Mapping[str, Any]) -> bytes:
    """A line of JSON in ASCII: some readers take more characters for the end of a line than JSON lines have."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


class LineStatus(StrEnum):
    """What became of one line."""

    CREATED = "created"
    """An item that is new."""
    UPDATED = "updated"
    """An item that was there."""
    ACCEPTED = "accepted"
    """An event that is new."""
    DUPLICATE = "duplicate"
    """An event that was there."""
    REJECTED = "rejected"
    """Nothing was changed; `errors` say why."""


@dataclass(frozen=True, slots=True)
class LineResult:
    """The answer to one line: `id` is the item's or the event's."""

    line: int
    status: LineStatus
    id: str | None = None
    errors: Sequence[Mapping[str, Any]] | None = None

    def as_json(self) -> dict[str, Any]:
        """Without what is not there."""
        document: dict[str, Any] = {"line": self.line, "status": self.status}
        if self.id is not None:
            document["id"] = self.id
        if self.errors:
            document["errors"] = list(self.errors)
        return document


class LineRead(BaseModel):
    """The answer to one line: its number from 1, and the id of the item or event."""

    line: int
    status: LineStatus
    id: str | None = None
    errors: list[dict[str, Any]] | None = Field(default=None, description="Each with `field` and `message`.")


class Summary(BaseModel):
    """How many lines have had which answer."""

    lines: int = 0
    created: int = 0
    updated: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0

    def add(self, results: Iterable[LineResult]) -> None:
        """Count these too."""
        counts = Counter(result.status for result in results)
        for status, count in counts.items():
            setattr(self, status.value, getattr(self, status.value) + count)
        self.lines += counts.total()


class BatchReport(BaseModel):
    """The answer to a batch, in the order of the request."""

    summary: Summary
    results: list[LineRead]
