"""Shapes of projects and keys on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.core.text import Name
from app.core.types import Scope


class KeyCreate(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Name, Field(examples=["web shop"])]
    scopes: Annotated[set[Scope], Field(min_length=1, examples=[["recommend", "ingest"]])]


class KeyRead(BaseModel):
    """A key as it may be shown at any time."""

    id: int
    name: str
    prefix: str
    scopes: list[Scope]
    created_at: datetime
    revoked_at: datetime | None


class KeyCreated(KeyRead):
    """A new key with its secret, which is shown this once."""

    key: str


class KeyList(BaseModel):
    """Every key of the project."""

    keys: list[KeyRead]
