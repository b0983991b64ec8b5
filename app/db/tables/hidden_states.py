"""Hidden states: the work list of the encoders, and the index of what they have written."""

import uuid

from sqlalchemy import CHAR, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class HiddenStatesRow(Base):
    """One content under one encoder: pending, encoded (then `shard` and `shard_row` say where), or failed."""

    __tablename__ = "hidden_states"
    __table_args__ = (
        UniqueConstraint("project_id", "content_hash", "fingerprint"),
        Index(
            "ix_hidden_states_pending", "project_id", "fingerprint", "id", postgresql_where=text("state = 'pending'")
        ),
        Index("ix_hidden_states_shard", "project_id", "shard", postgresql_where=text("shard IS NOT NULL")),
    )

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    content_hash: Mapped[str] = mapped_column(CHAR(64))
    fingerprint: Mapped[str] = mapped_column(CHAR(64))
    modality: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="pending")
    error: Mapped[str | None]
    shard: Mapped[str | None]
    shard_row: Mapped[int | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    """How often a worker has begun: content that keeps killing workers is given up."""
    claimed_by: Mapped[uuid.UUID | None]
    """The job at work on it; no claim at all once that job has ended."""
    created_at: Mapped[CreatedAt]
