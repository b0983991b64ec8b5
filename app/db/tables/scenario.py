"""Scenarios: named bundles of ranking options."""

from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, ProjectFk


class ScenarioRow(Base):
    """One bundle; `options` holds those that are set, as JSON."""

    __tablename__ = "scenarios"

    project_id: Mapped[ProjectFk] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str] = mapped_column(server_default="")
    options: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
