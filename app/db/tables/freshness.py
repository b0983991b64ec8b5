"""Freshness: which contents have arrived and have no vector yet, and how long those took that have."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, ProjectFk


class ArrivalRow(Base):
    """An item whose newest content has no vector under the live version yet; triggers on `media` write it."""

    __tablename__ = "arrivals"

    item_pk: Mapped[int] = mapped_column(
        ForeignKey("items.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    project_id: Mapped[ProjectFk] = mapped_column(index=True)
    arrived_at: Mapped[datetime]


class FreshnessRow(Base):
    """How many items became recommendable within one bucket of seconds since their upload; it only grows."""

    __tablename__ = "freshness"

    project_id: Mapped[ProjectFk] = mapped_column(primary_key=True)
    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Index of the bucket's upper bound (`app.models.freshness.BOUNDS_S`)."""
    items: Mapped[int]
    seconds: Mapped[float]
