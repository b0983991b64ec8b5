"""What others are told when a job has ended, in the transaction of its end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Transaction


@dataclass(frozen=True)
class JobEnding:
    """The end of a job: of which, and how."""

    id: UUID
    project: ProjectId
    kind: JobKind
    state: JobState
    result: Mapping[str, Any] | None = None
    error: str | None = None


OnEnd = Callable[[Transaction, JobEnding], None]


def tell_nobody(_: Transaction, __: JobEnding) -> None:
    """For jobs whose end concerns nobody else."""
