"""Erasures: that somebody has been removed, and from where; who it was can't be told from it."""

from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, ProjectFk


class ErasureRow(Base):
    """One erased user: `digest` is a slow hash of the id with `salt`, so only who knows the id can recognise it."""

    __tablename__ = "erasures"

    project_id: Mapped[ProjectFk] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts a project's erasures from 1, in the order in which they were committed."""
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    first_event: Mapped[int | None]
    """Number of the person's first event: a version whose cut goes that far may have seen the person."""
    report: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]
