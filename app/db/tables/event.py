"""Events: who did what with which item, when."""

import uuid
from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped

from app.db.base import Base, Pk, ProjectFk


class EventRow(Base):
    """One event. It names the client's item id, known or not: it counts once the item arrives."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("project_id", "event_id"),
        Index("ix_events_history", "project_id", "user_id", "timestamp", "id"),
        Index("ix_events_recent", "project_id", "timestamp"),
        Index(
            "ix_events_attributed",
            "project_id",
            "recommendation_id",
            postgresql_where=text("recommendation_id IS NOT NULL"),
        ),
    )

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    event_id: Mapped[str]
    user_id: Mapped[str]
    item_id: Mapped[str]
    type: Mapped[str]
    value: Mapped[float | None]
    timestamp: Mapped[datetime]
    recommendation_id: Mapped[uuid.UUID | None]
    """The answer that the client says it comes of; there may be none of this id."""
