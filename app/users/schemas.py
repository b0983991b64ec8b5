"""Shapes of users, their history, merges and erasures on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.core.text import Attributes, Identifier
from app.core.types import JobState

_EXAMPLE: dict[str, JsonValue] = {"attributes": {"country": "NO", "premium": True}}


class UserFields(BaseModel):
    """What a client says of a user; an upsert replaces all of it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    attributes: Attributes = Field(default_factory=dict)


class UserPatch(BaseModel):
    """Attributes to set; those that are null are removed, those that are absent stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"attributes": {"premium": None}}]})

    attributes: Attributes


class UserRead(BaseModel):
    """A user as the service knows them. Whoever has only events has no attributes and no times of writing."""

    user_id: str
    attributes: dict[str, JsonValue]
    last_event_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None


class UserPage(BaseModel):
    """Some users in the order of their ids, and where the next ones begin."""

    users: list[UserRead]
    next_cursor: str | None


class PastEvent(BaseModel):
    """One event of a user."""

    event_id: str
    item_id: str
    type: str
    value: float | None
    timestamp: datetime
    recommendation_id: UUID | None


class History(BaseModel):
    """Some events of a user, newest first, and where the older ones begin."""

    events: list[PastEvent]
    next_cursor: str | None


class Merge(BaseModel):
    """Whose events become the user's."""

    model_config = ConfigDict(
        extra="forbid", populate_by_name=True, json_schema_extra={"examples": [{"from": "anonymous-7f3a"}]}
    )

    source: Annotated[Identifier, Field(alias="from", description="The anonymous id, which is no user afterwards.")]


class Merged(BaseModel):
    """What a merge has moved; `duplicates` are events that the user had already."""

    user: UserRead
    moved_events: int
    duplicates: int


class OpenTraining(BaseModel):
    """A training that waits or runs."""

    id: UUID
    state: JobState


class ErasureRead(BaseModel):
    """Proof of an erasure, without the person's id.

    `removed` counts rows by table, and `cache_keys`. `model_versions` learned from data that the person was in.
    `trainings` had read such data when the person was erased: they read it again before they publish.
    `transfers` are imports and exports of late, whose files may name the person until they are deleted.
    `concerns` says whether the person is the one that was asked about.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 3,
                    "erased_at": "2026-01-01T12:00:00Z",
                    "removed": {"users": 1, "events": 212, "answers": 40, "cache_keys": 3},
                    "model_versions": ["v2", "v1"],
                    "trainings": [],
                    "transfers": [],
                    "concerns": None,
                }
            ]
        }
    )

    id: int
    erased_at: datetime
    removed: dict[str, int]
    model_versions: list[str]
    trainings: list[OpenTraining]
    transfers: list[UUID]
    concerns: bool | None = None


class ErasurePage(BaseModel):
    """Some erasures, newest first."""

    erasures: list[ErasureRead]
    next_cursor: str | None
