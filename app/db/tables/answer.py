"""Answers: what was recommended to whom, and from what; and the candidates of fallbacks."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Integer, LargeBinary, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class AnswerRow(Base):
    """One answer (`app.impressions.record.AnswerRecord`). It names version and experiment, which may be gone by now."""

    __tablename__ = "answers"
    __table_args__ = (
        Index(None, "project_id", "at"),
        Index("ix_answers_user", "project_id", "user_id", "at", postgresql_where=text("user_id IS NOT NULL")),
        Index(
            "ix_answers_experiment",
            "project_id",
            "experiment_id",
            postgresql_where=text("experiment_id IS NOT NULL"),
        ),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    at_s: Mapped[float] = mapped_column(Double)
    """The same moment as the ranking had it: more digits than a timestamp keeps."""
    user_id: Mapped[str | None]
    version_id: Mapped[int | None]
    snapshot: Mapped[str]
    scenario: Mapped[str | None]
    experiment_id: Mapped[int | None]
    arm: Mapped[str | None]
    options: Mapped[dict[str, Any]]
    session: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    history_count: Mapped[int | None] = mapped_column(Integer)
    history_through: Mapped[int | None]
    history_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    rotated: Mapped[dict[str, Any]]
    pool: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Names the row of `answer_pools` with the fallback's candidates."""
    fallback: Mapped[str | None]
    rank_offset: Mapped[int] = mapped_column(Integer)
    previous_id: Mapped[uuid.UUID | None]
    item_ids: Mapped[list[str]]
    scores: Mapped[list[float | None]] = mapped_column(ARRAY(Double))
    propensities: Mapped[list[float]] = mapped_column(ARRAY(Double))
    sources: Mapped[list[str]] = mapped_column(ARRAY(Text))
    rivals: Mapped[list[list[Any]] | None] = mapped_column(JSONB)
    """Of an interleaving: name, version and options of each way to rank."""
    seen_positions: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    """Places (from 1) that the client reports as seen; NULL: nothing is reported, so all count."""


class AnswerPoolRow(Base):
    """Candidates of fallbacks, once for all answers that were made from the same ones."""

    __tablename__ = "answer_pools"
    __table_args__ = (Index(None, "project_id", "last_at"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    item_ids: Mapped[list[str]]
    last_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Of the newest answer made from them: they are kept as long as it."""
