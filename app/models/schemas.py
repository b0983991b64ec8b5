"""Shapes of model versions on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel


class ModelState(StrEnum):
    """What a version can do at present."""

    LIVE = "live"
    """It serves."""
    READY = "ready"
    """It can be promoted at once."""
    ARCHIVED = "archived"
    """It has no item vectors, and has to be restored first."""
    RESTORING = "restoring"
    """It waits for its item vectors."""


class IndexRead(BaseModel):
    """How a process finds the best items of a version.

    `recall` is the share of the exact best that it finds, measured on the catalogue's own vectors: null for the exact
    index. `size_bytes` is what it holds beside the vectors.
    """

    kind: str
    items: int
    recall: float | None
    size_bytes: int
    build_s: float
    built_at: datetime
    settings: dict[str, int]
    reason: str


class ModelRead(BaseModel):
    """A trained version: what it is, how good it was, and whether it serves.

    `index` is that of the API process that answers; others make their own from the same vectors. It is null where the
    version does not serve, and before the index is built: answers are exact then.
    """

    version: str
    method: str
    state: ModelState
    live: bool
    items: int
    metrics: dict[str, Any]
    parity: dict[str, float]
    data_cut: dict[str, Any]
    created_at: datetime
    index: IndexRead | None = None


class EncoderOfModel(BaseModel):
    """A modality that the version reads: the fingerprint of its encoder, and that of the one it was trained from."""

    modality: str
    encoder: str
    trained_from: str | None
    layers: list[int]
    width: int


class ModelDetail(ModelRead):
    """Everything that is known of a version; `parameters` that train, by part of the network."""

    training_id: UUID | None
    hyperparameters: dict[str, Any]
    parameters: dict[str, Any]
    encoders: list[EncoderOfModel]
    item_width: int
    max_length: int
    packages: dict[str, str]
    size_bytes: int
    archived_at: datetime | None


class ModelList(BaseModel):
    """Every version, newest first."""

    models: list[ModelRead]


class Compared(BaseModel):
    """A number under each version (null where it has none), and by how much it differs from the first version's."""

    values: dict[str, float | None]
    differences: dict[str, float | None]


class ModelComparison(BaseModel):
    """Versions side by side; `hyperparameters` has only those that differ."""

    models: list[ModelRead]
    metrics: dict[str, Compared]
    parameters: dict[str, Compared]
    hyperparameters: dict[str, dict[str, Any]]


class PromotionRead(BaseModel):
    """A move of the live pointer; `key_id` is the key that asked for it, null after a training."""

    version: str
    reason: str
    key_id: int | None
    created_at: datetime


class PromotionPage(BaseModel):
    """Some promotions, newest first."""

    promotions: list[PromotionRead]
    next_cursor: str | None
