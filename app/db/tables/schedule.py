"""Schedules: when a project trains by itself."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class ScheduleRow(Base):
    """A training with the times or the conditions that order it."""

    __tablename__ = "schedules"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    name: Mapped[str]
    cron: Mapped[str | None]
    triggers: Mapped[dict[str, Any] | None]
    training: Mapped[dict[str, Any]]
    next_at: Mapped[datetime | None]
    """The next time by `cron`; in the past while a run is due."""
    checked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When the triggers were last looked at."""
    metric_since: Mapped[datetime | None]
    """Before this, a fallen metric orders nothing."""
    events_mark: Mapped[int] = mapped_column(server_default="0")
    """Events of higher numbers count as new."""
    items_mark: Mapped[int] = mapped_column(server_default="0")
    """Items of higher numbers count as new."""
    last_job_id: Mapped[uuid.UUID | None]
    last_reason: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
