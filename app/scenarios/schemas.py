"""Shapes of scenarios on the wire."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.core.text import Title
from app.scenarios.options import RankingOptions

MAX_SCENARIOS = 500

_EXAMPLE: dict[str, Any] = {
    "description": "The rail below an article.",
    "options": {"limit": 5, "categories": ["sea"], "diversity": 0.4, "rotation_s": 3600},
}


@dataclass(frozen=True)
class Scenario:
    """A bundle as API processes hold it; only the options that it sets are set."""

    name: str
    options: RankingOptions


class ScenarioWrite(BaseModel):
    """What a scenario says; it replaces all of an earlier one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    description: Title = ""
    options: RankingOptions = Field(default_factory=RankingOptions, description="Requests go before these.")


class ScenarioView(BaseModel):
    """A scenario; `options` are those that it sets."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "article",
                    **_EXAMPLE,
                    "created_at": "2026-01-01T12:00:00Z",
                    "updated_at": "2026-01-01T12:00:00Z",
                }
            ]
        }
    )

    name: str
    description: str
    options: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class ScenarioList(BaseModel):
    """A page of scenarios, by name."""

    scenarios: list[ScenarioView]
    next_cursor: str | None
