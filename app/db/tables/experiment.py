"""Experiments: what is compared, on which shares of the units, by which events."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class ExperimentRow(Base):
    """One experiment; `salt` decides together with a unit's id where the unit belongs."""

    __tablename__ = "experiments"
    __table_args__ = (
        UniqueConstraint("project_id", "name"),
        Index("ix_experiments_running", "project_id", "id", postgresql_where=text("state = 'running'")),
    )

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    name: Mapped[str]
    kind: Mapped[str]
    salt: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="draft")
    metric_types: Mapped[list[str]]
    metric_window_s: Mapped[float]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    arms: Mapped[list["ExperimentArmRow"]] = relationship(
        order_by="ExperimentArmRow.position", lazy="selectin", passive_deletes="all"
    )


class ExperimentArmRow(Base):
    """One alternative. It names version and scenario as clients write them: what is gone falls back to the live one."""

    __tablename__ = "experiment_arms"

    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    share: Mapped[float]
    version: Mapped[str | None]
    scenario: Mapped[str | None]
