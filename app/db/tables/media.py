"""Media: which content each item has in each modality."""

from sqlalchemy import CHAR, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class MediaRow(Base):
    """One raw file or text of an item; the bytes lie in the blob store under `content_hash` (SHA-256)."""

    __tablename__ = "media"
    __table_args__ = (
        UniqueConstraint("item_pk", "modality"),
        Index(None, "project_id", "content_hash"),
        Index(None, "project_id", "state"),
    )

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    item_pk: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"))
    modality: Mapped[str]
    source: Mapped[str] = mapped_column(server_default="upload")
    """`upload`, or `metadata` for a text made from title, categories and description."""
    content_hash: Mapped[str] = mapped_column(CHAR(64))
    content_type: Mapped[str]
    size_bytes: Mapped[int]
    width: Mapped[int | None]
    height: Mapped[int | None]
    duration_s: Mapped[float | None]
    state: Mapped[str] = mapped_column(server_default="pending")
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]
