"""Webhooks: where a project wants to be told, and the messages on their way there."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, ProjectFk


class WebhookRow(Base):
    """An address with the events that it hears of. The secret is kept as it is: every message is signed with it."""

    __tablename__ = "webhooks"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project_id: Mapped[ProjectFk] = mapped_column(index=True)
    url: Mapped[str]
    events: Mapped[list[str]]
    secret: Mapped[str]
    paused: Mapped[bool] = mapped_column(server_default=text("false"))
    failing_since: Mapped[datetime | None]
    """Since when messages have been given up; None after one has arrived."""
    created_at: Mapped[CreatedAt]


class WebhookDeliveryRow(Base):
    """One message to one webhook, written with what it tells of; it keeps its id and its bytes however often sent."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "project_id", "next_at", postgresql_where=text("state = 'pending'")),
        Index(None, "webhook_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    project_id: Mapped[ProjectFk]
    webhook_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())
    status: Mapped[int | None]
    """HTTP status of the last answer."""
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    finished_at: Mapped[datetime | None]
