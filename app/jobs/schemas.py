"""Shapes of jobs on the wire."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.tables import JobRow


class JobRead(BaseModel):
    """A job of any kind; what it was ordered with is shown where it was ordered."""

    id: UUID
    kind: JobKind
    state: JobState
    attempts: int
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """Some jobs, newest first."""

    jobs: list[JobRead]
    next_cursor: str | None


def read_job(row: JobRow) -> JobRead:
    """A row as clients may see it."""
    return JobRead(
        id=row.id,
        kind=JobKind(row.kind),
        state=JobState(row.state),
        attempts=row.attempts,
        progress=row.progress,
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
