"""Model versions: trained artifacts and what was measured of them."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, CreatedAt, Pk, ProjectFk


class ModelVersionRow(Base):
    """One published artifact folder; a training publishes at most one (`job_id` is unique).

    A deleted version stays as a tombstone, so that its number and what is told of it are never another's.
    """

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("project_id", "number"),)

    id: Mapped[Pk]
    project_id: Mapped[ProjectFk]
    number: Mapped[int]
    method: Mapped[str]
    job_id: Mapped[uuid.UUID | None] = mapped_column(unique=True)
    artifact: Mapped[str]
    manifest: Mapped[dict[str, Any]]
    created_at: Mapped[CreatedAt]
    archived_at: Mapped[datetime | None]
    """Since when it has no item vectors; it cannot serve until it is restored."""
    restore_requested_at: Mapped[datetime | None]
    """Since when an archived version waits for its item vectors."""
    deleted_at: Mapped[datetime | None]

    @property
    def name(self) -> str:
        """The version as clients write it."""
        return f"v{self.number}"

    @property
    def own_encoders(self) -> dict[str, str]:
        """Fingerprints, by modality, of the encoders that its training has changed; most versions have none."""
        return {entry["name"]: entry["encoder"] for entry in self.manifest["modalities"] if entry.get("base")}
