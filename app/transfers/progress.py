"""How far an import is, as its job keeps it."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from app.transfers.chunks import Chunk
from app.transfers.results import LineResult, LineStatus, Summary

SHOWN_ERRORS = 100
SHOWN_FIELDS = 10
SHOWN_CHARACTERS = 300


class ImportProgress(BaseModel):
    """How far an import is.

    Attributes:
        summary: of the lines so far.
        errors: the first rejected lines.
        position: where the next chunk begins, in bytes or rows.
        next_line: its number.
    """

    summary: Summary = Field(default_factory=Summary)
    errors: list[dict[str, Any]] = Field(default_factory=list)
    position: int = 0
    next_line: int = 1

    def after(self, chunk: Chunk, results: Sequence[LineResult]) -> "ImportProgress":
        """With a chunk more."""
        summary = self.summary.model_copy()
        summary.add(results)
        room = SHOWN_ERRORS - len(self.errors)
        errors = self.errors + [shown(result) for result in rejected_of(results)[: max(0, room)]]
        return ImportProgress(summary=summary, errors=errors, position=chunk.position, next_line=chunk.next_line)


def shown(result: LineResult) -> dict[str, Any]:
    """A rejected line's answer as a job keeps it: of names that the line has made up as much as a row can hold."""
    document = result.as_json()
    errors = [{name: _storable(value) for name, value in error.items()} for error in document.get("errors", [])]
    return {**document, "errors": errors[:SHOWN_FIELDS]}


def _storable(value: Any) -> Any:
    return value[:SHOWN_CHARACTERS].replace("\x00", "\ufffd") if isinstance(value, str) else value


def rejected_of(results: Sequence[LineResult]) -> list[LineResult]:
    """The lines that were rejected."""
    return [result for result in results if result.status is LineStatus.REJECTED]
