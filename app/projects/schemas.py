"""Shapes of projects and keys on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.core.text import Name
from app.core.types import Scope

Rate = Annotated[float, Field(gt=0, le=1_000_000, description="Requests a second.", examples=[50])]
Burst = Annotated[int, Field(ge=1, le=1_000_000, description="Requests at once.", examples=[100])]


class KeyCreate(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Name, Field(examples=["web shop"])]
    scopes: Annotated[set[Scope], Field(min_length=1, examples=[["recommend", "ingest"]])]
    rate_per_s: Rate | None = None
    burst: Burst | None = None


class KeyPatch(BaseModel):
    """What may be changed of a key; what is absent stays, and null takes the service's own rate."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rate_per_s": 50, "burst": 100}]})

    name: Name | None = None
    rate_per_s: Rate | None = None
    burst: Burst | None = None


class KeyRead(BaseModel):
    """A key as it may be shown at any time."""

    id: int
    name: str
    prefix: str
    scopes: list[Scope]
    rate_per_s: float | None
    burst: int | None
    created_at: datetime
    revoked_at: datetime | None


class KeyCreated(KeyRead):
    """A new key with its secret, which is shown this once."""

    key: str


class KeyList(BaseModel):
    """Every key of the project."""

    keys: list[KeyRead]
