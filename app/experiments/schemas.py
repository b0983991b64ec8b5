"""Shapes of experiments on the wire."""

import math
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, StringConstraints, model_validator

from app.core.text import EventType, Name
from app.core.types import ExperimentKind, ExperimentState
from app.experiments.running import ROUNDING

MAX_ARMS = 10
DAY_S = 86_400.0
MAX_WINDOW_S = 90 * DAY_S
RESERVED = ("personal", "pinned", "session", "popular", "trending", "latest")
"""What else may be the source of an item of an answer."""

ArmName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w.:-]+$")]
VersionName = Annotated[str, StringConstraints(pattern=r"^v[1-9][0-9]{0,17}$")]


class ArmWrite(BaseModel):
    """One alternative: a version, a scenario, both, or neither (what would be served anyway)."""

    model_config = ConfigDict(extra="forbid")

    name: ArmName
    share: Annotated[FiniteFloat, Field(gt=0, le=1, description="Of the users and sessions.")]
    version: VersionName | None = None
    scenario: Name | None = None


class Metric(BaseModel):
    """What counts as a success: an event of one of these types on an item of the answer that it names, in time."""

    model_config = ConfigDict(extra="forbid")

    types: Annotated[list[EventType], Field(min_length=1, max_length=20)]
    window_s: Annotated[FiniteFloat, Field(gt=0, le=MAX_WINDOW_S, description="Seconds after the answer.")] = DAY_S


_EXAMPLE: dict[str, JsonValue] = {
    "name": "v2 against v1",
    "kind": "split",
    "arms": [{"name": "old", "share": 0.5, "version": "v1"}, {"name": "new", "share": 0.5, "version": "v2"}],
    "metric": {"types": ["click"], "window_s": 86400},
}


class ExperimentCreate(BaseModel):
    """An experiment to be made; it begins when it is started. Outside of the shares nothing changes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    name: Name
    kind: ExperimentKind = ExperimentKind.SPLIT
    arms: Annotated[list[ArmWrite], Field(min_length=2, max_length=MAX_ARMS)]
    metric: Metric

    @model_validator(mode="after")
    def _arms_fit_together(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("arms: two arms have the same name")
        if math.fsum(arm.share for arm in self.arms) > 1 + ROUNDING:
            raise ValueError("arms: the shares add up to more than 1")
        if self.kind == ExperimentKind.INTERLEAVING and len(names) != 2:
            raise ValueError("arms: an interleaving has exactly 2 arms")
        if reserved := set(names) & set(RESERVED):
            raise ValueError(f"arms: an arm cannot be called '{min(reserved)}'")
        return self


class ArmRead(BaseModel):
    """One alternative."""

    name: str
    share: float
    version: str | None
    scenario: str | None


class ExperimentRead(BaseModel):
    """An experiment and how far it is."""

    id: int
    name: str
    kind: ExperimentKind
    state: ExperimentState
    arms: list[ArmRead]
    metric: Metric
    created_at: datetime
    started_at: datetime | None
    stopped_at: datetime | None


class ExperimentPage(BaseModel):
    """Some experiments, newest first."""

    experiments: list[ExperimentRead]
    next_cursor: str | None


class Estimated(BaseModel):
    """A rate with its 95% interval; no value while there is nothing to take it of."""

    value: float | None
    low: float
    high: float


class DifferenceRead(BaseModel):
    """An arm's rate less the first arm's, with the 95% interval; `relative` is the difference over the first arm's."""

    value: float
    low: float
    high: float
    p_value: float
    relative: float | None


class AgainstFirst(BaseModel):
    """How an arm differs from the first one; null while there are fewer than two users in either."""

    ctr: DifferenceRead | None
    conversion: DifferenceRead | None


class ArmResult(BaseModel):
    """What came of one arm of a split.

    `units` are users, and answers to sessions without a user; the rates' intervals treat each as independent.
    `ctr` is successes over items shown, `conversion` the share of the units with a success. `served_otherwise` counts
    answers that another version than the arm's had to make.
    """

    arm: str
    answers: int
    users: int
    units: int
    impressions: int
    successes: int
    served_otherwise: int
    ctr: Estimated
    conversion: Estimated
    against_first: AgainstFirst | None


class Preference(BaseModel):
    """Of the units that chose more from one team than from the other: the share that chose more from the second arm.

    `p_value` is of a two-sided sign test: how often a coin would be as one-sided.
    """

    units: int
    share: float | None
    low: float
    high: float
    p_value: float


class InterleavingResult(BaseModel):
    """Answers won by each arm (more successes on items it drafted), and what the users prefer."""

    first: str
    second: str
    answers: int
    users: int
    first_wins: int
    second_wins: int
    ties: int
    first_successes: int
    second_successes: int
    preference: Preference


class SampleRatio(BaseModel):
    """Whether the arms have as many users as their shares say: if not, something other than chance sorts them."""

    p_value: float
    mismatch: Annotated[bool, Field(description="p below 0.001: do not trust the comparison before this is explained.")]


class Results(BaseModel):
    """What is known now: of a split `arms`, of an interleaving `interleaving`."""

    arms: list[ArmResult]
    interleaving: InterleavingResult | None
    sample_ratio: SampleRatio | None
    warnings: list[str]


class ExperimentReport(ExperimentRead):
    """An experiment with its results."""

    results: Results
