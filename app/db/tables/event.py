"""Events: who did what with which item, when."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from app.db.base import Base, Pk, ProjectFk


class EventRow(Base):
    """One event. It names the client's item id, known or not: it counts once the item arrives."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("project_id", "event_id"),
        Index("ix_events_history", "project_id", "user_id", "timestamp", "id"),
        Index("ix_events_recent", "project_id", "timestamp"),
    )

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    event_id: Mapped[str]
    user_id: Mapped[str]
    item_id: Mapped[str]
    type: Mapped[str]
    value: Mapped[float | None]
    timestamp: Mapped[datetime]
