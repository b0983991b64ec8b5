"""Media by address: what is to be fetched for an item, and how far it has come."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class MediaFetchRow(Base):
    """The address last named for one modality of an item; what is uploaded afterwards takes its place."""

    __tablename__ = "media_fetches"
    __table_args__ = (
        UniqueConstraint("item_pk", "modality"),
        Index("ix_media_fetches_due", "project_id", "next_at", postgresql_where=text("state = 'pending'")),
    )

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    item_pk: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"))
    modality: Mapped[str]
    url: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    attempts: Mapped[int] = mapped_column(server_default="0")
    """How often a worker has begun; a worker that ends in good order takes its attempt back."""
    next_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Not before."""
    error: Mapped[str | None]
    """Of the last attempt, whether or not another one follows."""
    claimed_by: Mapped[uuid.UUID | None]
    """The job at work on it; no claim at all once that job has ended."""
    created_at: Mapped[CreatedAt]
