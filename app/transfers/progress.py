"""How far an import is, as its job keeps it."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from app.transfers.chunks import Chunk
from app.transfers.results import LineResult, LineStatus, Summary

SHOWN_ERRORS = 100


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
        errors = self.errors + [result.as_json() for result in rejected_of(results)[: max(0, room)]]
        return ImportProgress(summary=summary, errors=errors, position=chunk.position, next_line=chunk.next_line)


def rejected_of(results: Sequence[LineResult]) -> list[LineResult]:
    """The lines that were rejected."""
    return [result for result in results if result.status is LineStatus.REJECTED]
