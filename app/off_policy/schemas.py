"""Shapes of estimates on the wire, and of their results in the job's row."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.core.text import Name
from app.core.types import JobState
from app.events.schemas import EARLIEST
from app.experiments.schemas import Metric


class EstimateCreate(Metric):
    """Which recorded answers to use (of one scenario, since a time or of the last 30 days), and what counts."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"types": ["click"], "window_s": 86400, "scenario": "home"}]}
    )

    scenario: Name | None = None
    since: Annotated[AwareDatetime, Field(ge=EARLIEST)] | None = None


class Verdict(StrEnum):
    """What the answers say of the candidate against what served."""

    BETTER = "better"
    WORSE = "worse"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"
    NO_OVERLAP = "no_overlap"


class Bounded(BaseModel):
    """Successes an answer, with the 95% interval over users; no bounds with fewer than two users."""

    value: float
    low: float | None
    high: float | None


class Estimator(BaseModel):
    """The candidate's value by one estimator, and its difference to the value of what served."""

    candidate: Bounded
    difference: Bounded


class EstimateResult(BaseModel):
    """What recorded answers say of a candidate.

    `answers` are personal ones in the time asked for, `explored` those with exploration, `used` those that the estimate
    rests on. The rest: `not_comparable` had pins, caps, diversity, a later page or an interleaving; `not_reproduced`
    had a catalogue, a history or a version that can no longer be recomputed to the recorded propensities;
    `not_personal` would have had no personal answer from the candidate. `without_overlap` is the share of answers that
    say nothing of the candidate: without exploration, or most of its list could not have been shown.
    """

    verdict: Verdict
    explanation: str
    answers: int
    explored: int
    used: int
    not_comparable: int
    not_reproduced: int
    not_personal: int
    users: int
    without_overlap: float
    unsupported: float | None
    effective_sample_size: float | None
    largest_weight: float | None
    served: Bounded | None
    ips: Estimator | None
    snips: Estimator | None
    dr: Estimator | None


class EstimateRead(BaseModel):
    """An estimate: a job, and its result once it has succeeded. `progress` has answers and of."""

    id: UUID
    version: str
    state: JobState
    scenario: str | None
    since: datetime | None
    metric: Metric
    progress: dict[str, Annotated[int, Field(ge=0)]] | None
    result: EstimateResult | None
    error: str | None
    created_at: datetime
    finished_at: datetime | None
