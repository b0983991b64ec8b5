"""Shapes of schedules on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.core.text import Attributes
from app.core.types import JobState, Promotion

DAY_S = 86_400.0


class WatchedMetric(StrEnum):
    """Online metrics that may order a training when they fall."""

    CTR = "ctr"
    ANSWER_CTR = "answer_ctr"
    CONVERSION = "conversion"
    MRR = "mrr"
    COVERAGE = "coverage"


class MetricFalls(BaseModel):
    """The metric of the last `window_s` seconds is lower, by this share, than that of `baseline_window_s` before them.

    Both have to rest on `min_impressions` shown items. After it has ordered a training it waits for
    `baseline_window_s`, until there is something new to compare with.
    """

    model_config = ConfigDict(extra="forbid")

    metric: WatchedMetric
    by: Annotated[float, Field(gt=0, lt=1)] = 0.2
    window_s: Annotated[float, Field(ge=60, le=90 * DAY_S)] = DAY_S
    baseline_window_s: Annotated[float, Field(ge=60, le=365 * DAY_S)] = 7 * DAY_S
    min_impressions: Annotated[int, Field(ge=1, le=10**9)] = 1_000


class Triggers(BaseModel):
    """Conditions of which any one orders a training; events and items count from the last training of the schedule."""

    model_config = ConfigDict(extra="forbid")

    after_events: Annotated[int, Field(ge=1, le=10**12)] | None = None
    after_items: Annotated[int, Field(ge=1, le=10**12)] | None = None
    when_metric_falls: MetricFalls | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.after_events is None and self.after_items is None and self.when_metric_falls is None:
            raise ValueError("must have at least one of after_events, after_items, when_metric_falls")
        return self


class ScheduledTraining(BaseModel):
    """What to train, as in `POST /admin/trainings`."""

    model_config = ConfigDict(extra="forbid")

    method: Annotated[str, Field(max_length=64)] = "crossan"
    hyperparameters: Annotated[Attributes, Field(max_length=100)] = Field(default_factory=dict)
    promote: Promotion = Promotion.IF_BETTER


class ScheduleWrite(BaseModel):
    """When to train: by `cron` (minute, hour, day of month, month, day of week; UTC), on conditions, or both."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"cron": "0 3 * * *", "training": {"method": "crossan", "promote": "if_better"}},
                {"triggers": {"after_events": 100_000, "when_metric_falls": {"metric": "ctr", "by": 0.2}}},
            ]
        },
    )

    cron: Annotated[str, StringConstraints(min_length=9, max_length=200)] | None = None
    triggers: Triggers | None = None
    training: ScheduledTraining = Field(default_factory=ScheduledTraining)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.cron is None and self.triggers is None:
            raise ValueError("must have `cron`, `triggers`, or both")
        return self


class LastRun(BaseModel):
    """The training that the schedule ordered last; without a state when it is forgotten."""

    training_id: UUID
    reason: str
    state: JobState | None
    model_version: str | None
    error: str | None
    finished_at: datetime | None


class ScheduleRead(BaseModel):
    """A schedule, the next time it is due by the clock, and what came of the last training."""

    name: str
    cron: str | None
    triggers: dict[str, Any] | None
    training: ScheduledTraining
    next_run: datetime | None
    last: LastRun | None
    created_at: datetime
    updated_at: datetime


class ScheduleList(BaseModel):
    """Every schedule of the project, by name."""

    schedules: list[ScheduleRead]
