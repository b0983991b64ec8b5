"""Shapes of impressions and metrics on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from app.core.cursor import MAX_NUMBER
from app.core.text import EventType, Identifier
from app.events.schemas import Timestamp
from app.impressions.attribution import DAY_S
from app.impressions.metrics import OnlineMetrics

MAX_SHOWN = 1_000
MAX_TYPES = 100


class ImpressionWrite(BaseModel):
    """Which items of an answer were seen: their ids, or how many from the top."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"recommendation_id": "0198c0de-0000-7000-8000-000000000000", "shown": 5}]},
    )

    recommendation_id: UUID
    item_ids: Annotated[list[Identifier] | None, Field(max_length=MAX_SHOWN)] = None
    shown: Annotated[int | None, Field(ge=0, le=MAX_SHOWN)] = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "ImpressionWrite":
        if (self.item_ids is None) == (self.shown is None):
            raise ValueError("give either item_ids or shown")
        return self


class ImpressionRead(BaseModel):
    """How many of an answer's items count as seen by all reports so far."""

    recommendation_id: UUID
    seen: int
    items: int


class Grouping(StrEnum):
    """What metrics may be grouped by."""

    NONE = "none"
    SCENARIO = "scenario"
    VERSION = "version"
    ARM = "arm"


class MetricsQuery(BaseModel):
    """Which answers are counted, and which events with them."""

    since: Timestamp | None = Field(None, description="Answers given from this moment on; the last 7 days by default.")
    until: Timestamp | None = Field(None, description="Answers given before this moment; now by default.")
    group_by: Grouping = Grouping.NONE
    click_types: Annotated[list[EventType], Field(max_length=MAX_TYPES)] | None = Field(
        None, description="Event types that count as a click; all do by default."
    )
    conversion_types: list[EventType] = Field(
        default_factory=list, max_length=MAX_TYPES, description="Event types that count as a conversion."
    )
    window_s: FiniteFloat = Field(
        DAY_S, gt=0, le=90 * DAY_S, description="How many seconds after an answer its events count."
    )
    experiment_id: int | None = Field(None, ge=1, le=MAX_NUMBER, description="Only answers of this experiment.")


class MetricsRead(BaseModel):
    """Online metrics, of each group or of all answers; every rate has its 95 % interval."""

    since: datetime
    until: datetime
    groups: list[OnlineMetrics]
