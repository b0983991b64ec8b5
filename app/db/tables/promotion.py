"""Promotions: which version went live when, why, and what a rollback goes back to."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class PromotionRow(Base):
    """One move of the live pointer. `previous_id` is the promotion whose version a rollback makes live again."""

    __tablename__ = "promotions"
    __table_args__ = (Index(None, "project_id", "id"),)

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id", ondelete="CASCADE"), index=True)
    previous_id: Mapped[int | None] = mapped_column(ForeignKey("promotions.id", ondelete="SET NULL"), index=True)
    reason: Mapped[str]
    """`training`, `request`, `rollback`, or what else moved it."""
    key_id: Mapped[int | None]
    """The API key that asked for it; None for a training."""
    created_at: Mapped[CreatedAt]
