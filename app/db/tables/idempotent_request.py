"""Requests that came with an `Idempotency-Key`, and what was answered."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import LargeBinary, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, ProjectFk


class IdempotentRequestRow(Base):
    """One key of a project: claimed by an attempt, then marked by the transaction that took effect, then answered."""

    __tablename__ = "idempotent_requests"

    project_id: Mapped[ProjectFk] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """Digest of method, path and body."""
    path: Mapped[str]
    """So that what was answered about a person can be found and erased."""
    attempt: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Which of the requests runs; another takes over when it has died."""
    started_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    effect_at: Mapped[datetime | None]
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
