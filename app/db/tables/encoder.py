"""Encoders: which frozen model, by fingerprint, is at present in charge of each modality."""

from datetime import datetime
from typing import Any

from sqlalchemy import CHAR, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class EncoderRow(Base):
    """Written by workers when they load their encoders; shapes are those of the stored states [layers, width]."""

    __tablename__ = "encoders"

    modality: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(CHAR(64))
    spec: Mapped[dict[str, Any]]
    layers: Mapped[int]
    width: Mapped[int]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
