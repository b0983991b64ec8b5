"""Jobs: long work as rows; the message in the broker only says that there is one."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, ProjectFk


class JobRow(Base):
    """One unit of long work. Of the coalescing kinds at most one a project waits at a time."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "uq_jobs_waiting",
            "project_id",
            "kind",
            unique=True,
            postgresql_where=text("state = 'queued' AND kind IN ('encode', 'index', 'fetch', 'deliver')"),
        ),
        Index("ix_jobs_open", "state", postgresql_where=text("state IN ('queued', 'running')")),
        Index(None, "project_id", "kind", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project_id: Mapped[ProjectFk]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="queued")
    payload: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    progress: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
    error: Mapped[str | None]
    trace: Mapped[dict[str, Any] | None]
    """The request that asked for it: `request_id`, and `traceparent` when it is traced."""
    attempts: Mapped[int] = mapped_column(server_default="0")
    cancel_requested: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
    sent_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
