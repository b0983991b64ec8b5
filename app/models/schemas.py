"""Shapes of model versions on the wire."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class ModelRead(BaseModel):
    """A trained version: what it is, how good it was, and whether it serves."""

    version: str
    method: str
    live: bool
    items: int
    metrics: dict[str, Any]
    parity: dict[str, float]
    data_cut: dict[str, Any]
    created_at: datetime


class ModelList(BaseModel):
    """Every version, newest first."""

    models: list[ModelRead]
