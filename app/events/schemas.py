"""Shapes of events on the wire."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from app.core.text import EventType, Identifier

MAX_EVENTS = 1_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(days=1)


def _plausible(value: datetime) -> datetime:
    """Times without a zone are UTC; times before 1970 or more than a day ahead are refused."""
    value = value if value.tzinfo else value.replace(tzinfo=UTC)
    if not EARLIEST <= value <= datetime.now(UTC) + CLOCK_SKEW:
        raise ValueError("must lie between 1970 and tomorrow")
    return value


Timestamp = Annotated[datetime, AfterValidator(_plausible)]


class EventWrite(BaseModel):
    """One event. Without `event_id` it is told apart by user, item, type and time."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user_id": "u1", "item_id": "i1", "type": "view", "timestamp": "2026-01-01T00:00:00Z"}]
        },
    )

    user_id: Identifier
    item_id: Identifier
    type: EventType = "view"
    value: FiniteFloat | None = None
    timestamp: Timestamp | None = None
    event_id: Identifier | None = None
    recommendation_id: Annotated[
        UUID | None,
        Field(description="Of the answer that the item was met in: it then counts in the metrics of that answer."),
    ] = None


class EventStatus(StrEnum):
    """What became of one event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


class EventResult(BaseModel):
    """The answer to one event, in the order of the request."""

    status: EventStatus
    event_id: str | None = None
    errors: list[dict[str, str]] | None = None


class EventReport(BaseModel):
    """The answer to a batch."""

    accepted: int
    duplicates: int
    rejected: int
    results: list[EventResult]
