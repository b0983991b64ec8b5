"""Projects: the wall between tenants, and the pointer to the version that serves."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk


class ProjectRow(Base):
    """One catalogue with its users, keys and models."""

    __tablename__ = "projects"

    id: Mapped[Pk]
    name: Mapped[str] = mapped_column(unique=True)
    live_version_id: Mapped[int | None] = mapped_column(
        ForeignKey("model_versions.id", use_alter=True, ondelete="SET NULL")
    )
    created_at: Mapped[CreatedAt]
