"""Shapes of trainings on the wire."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.core.text import Attributes
from app.core.types import JobState, Promotion


class TrainingCreate(BaseModel):
    """What to train. `promote` says when the result goes live; `wait` keeps the request open until it is done."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"method": "crossan", "hyperparameters": {"epochs": 40}}]}
    )

    method: Annotated[str, Field(max_length=64)] = "crossan"
    hyperparameters: Annotated[Attributes, Field(max_length=100)] = Field(default_factory=dict)
    promote: Promotion = Promotion.IF_BETTER
    wait: bool = False


class TrainingRead(BaseModel):
    """A training job. `progress` has stage, epoch, epochs, loss, hr10, ndcg10 (validation) and seconds."""

    id: UUID
    state: JobState
    method: str
    hyperparameters: dict[str, JsonValue]
    promote: Promotion
    attempts: int
    progress: dict[str, Any] | None
    data_cut: dict[str, Any] | None
    error: str | None
    result: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TrainingPage(BaseModel):
    """Some trainings, newest first."""

    trainings: list[TrainingRead]
    next_cursor: str | None
