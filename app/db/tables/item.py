"""Items: what the client says of a thing, and how far its content has come."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk, Xid8


class ItemRow(Base):
    """A thing to recommend. A deleted item stays as a tombstone so that every API process learns of it."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("project_id", "item_id"),
        Index(None, "project_id", "changed_xid"),
        Index(None, "project_id", "id"),
        Index(
            "ix_items_latest",
            "project_id",
            text("coalesce(published_at, created_at)"),
            "id",
            postgresql_where=text("available AND deleted_at IS NULL"),
        ),
        Index("ix_items_needs_vector", "project_id", "id", postgresql_where=text("needs_vector")),
    )

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    item_id: Mapped[str]
    title: Mapped[str] = mapped_column(server_default="")
    description: Mapped[str] = mapped_column(server_default="")
    categories: Mapped[list[str]] = mapped_column(server_default="{}")
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    available: Mapped[bool] = mapped_column(server_default=text("true"))
    published_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default="pending")
    error: Mapped[str | None]
    content_key: Mapped[str | None]
    """Digest of the encoded contents and their encoders; a vector made from another key is stale."""
    needs_vector: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]
    changed_xid: Mapped[int] = mapped_column(Xid8, server_default=func.pg_current_xact_id())
    """Transaction of the last change (set by a trigger): API processes read what changed since their last look."""
