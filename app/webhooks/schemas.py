"""Shapes of webhooks on the wire."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from app.webhooks.events import WebhookEvent

Url = Annotated[str, StringConstraints(min_length=8, max_length=2_000)]
Events = Annotated[set[WebhookEvent], Field(min_length=1)]
EXAMPLE: JsonValue = {"url": "https://shop.example/hooks/crossan", "events": ["training.succeeded", "model.promoted"]}


class WebhookCreate(BaseModel):
    """Where messages shall go, and about what."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})

    url: Url
    events: Events


class WebhookPatch(BaseModel):
    """What shall change. To a paused webhook nothing is sent, and what happens meanwhile is not told it later."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"paused": True}]})

    url: Url | None = None
    events: Events | None = None
    paused: bool | None = None


class WebhookRead(BaseModel):
    """A webhook; `failing_since` is set while messages are given up, and cleared by the first that arrives."""

    id: UUID
    url: str
    events: list[WebhookEvent]
    paused: bool
    failing_since: datetime | None
    created_at: datetime


class WebhookCreated(WebhookRead):
    """A new webhook with the secret of its signatures, which is shown this once."""

    secret: str


class DeliveryRead(BaseModel):
    """A message; `id` is what its receiver finds in the header `webhook-id`. `state`: pending, delivered, given_up."""

    id: str
    event: str
    state: str
    attempts: int
    status: int | None
    error: str | None
    next_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


class WebhookDetail(WebhookRead):
    """A webhook with its newest messages, newest first."""

    deliveries: list[DeliveryRead]


class WebhookList(BaseModel):
    """Every webhook of the project, oldest first."""

    webhooks: list[WebhookRead]
