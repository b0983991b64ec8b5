"""API keys: only a hash of the secret is kept."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class ApiKeyRow(Base):
    """A key of one project with its scopes; `prefix` is the part that may be shown again."""

    __tablename__ = "api_keys"

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk] = mapped_column(index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]]
    rate_per_s: Mapped[float | None]
    """Requests a second; unset means the rate of the settings."""
    burst: Mapped[int | None]
    created_at: Mapped[CreatedAt]
    revoked_at: Mapped[datetime | None]
