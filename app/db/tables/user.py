"""Users: what the client says of a person. Whoever has only events has no row, and is a user all the same."""

from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, ProjectFk


class UserRow(Base):
    """A user by the client's own id."""

    __tablename__ = "users"

    project_id: Mapped[ProjectFk] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
