"""Shapes of items and media on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from app.core.text import Attributes, Identifier, Name, Paragraphs, Title
from app.core.types import FetchState, ItemState, MediaState

Categories = Annotated[list[Name], Field(max_length=50)]


def _storable(value: datetime) -> datetime:
    """At either end of the calendar a change of zone leaves the years that can be written."""
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"must lie between the years {FIRST_YEAR} and {LAST_YEAR}")
    return value


FIRST_YEAR, LAST_YEAR = 2, 9998
PublicationTime = Annotated[AwareDatetime, AfterValidator(_storable)]


class ItemFields(BaseModel):
    """What a client says of an item; an upsert replaces all of it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "title": "Harbour at dawn",
                    "description": "A slow film about fishing boats.",
                    "categories": ["documentary", "sea"],
                    "attributes": {"year": 2024},
                }
            ]
        },
    )

    title: Title = ""
    description: Paragraphs = ""
    categories: Categories = Field(default_factory=list)
    attributes: Attributes = Field(default_factory=dict)
    available: bool = True
    published_at: PublicationTime | None = None


class ItemCreate(ItemFields):
    """An item with its id: the `item` part of a multipart upload, or all of a JSON body."""

    item_id: Identifier


class ItemPatch(BaseModel):
    """Fields to change; what is absent stays."""

    model_config = ConfigDict(extra="forbid")

    title: Title | None = None
    description: Paragraphs | None = None
    categories: Categories | None = None
    attributes: Attributes | None = None
    available: bool | None = None
    published_at: PublicationTime | None = None


class TextBody(BaseModel):
    """A text medium as JSON."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1)]


class UrlBody(BaseModel):
    """The address of a medium as JSON."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1)]


class FetchRead(BaseModel):
    """An address named for a medium: `pending` until it is `fetched` or has `failed`; `error` is the last attempt's."""

    url: str
    state: FetchState
    attempts: int
    next_at: datetime | None
    error: str | None


class MediaRead(BaseModel):
    """One medium of an item. While nothing but its address is known, its content is null."""

    content_type: str | None
    size_bytes: int | None
    sha256: str | None
    source: str
    width: int | None
    height: int | None
    duration_s: float | None
    state: MediaState
    error: str | None
    fetch: FetchRead | None = None


class ItemRead(BaseModel):
    """An item as the service knows it.

    `state` is `pending` until every medium has been encoded, `failed` when one of them could not be (`error` says why;
    the item is still recommended by its other media), `encoded` when only a model is missing, and `ready` when the live
    version has a vector of it. `recommendable` says whether it can be in an answer right now.
    """

    item_id: str
    title: str
    description: str
    categories: list[str]
    attributes: dict[str, JsonValue]
    available: bool
    published_at: datetime | None
    state: ItemState
    error: str | None
    recommendable: bool
    media: dict[str, MediaRead]
    created_at: datetime
    updated_at: datetime


class ItemPage(BaseModel):
    """Some items, and where the next ones begin."""

    items: list[ItemRead]
    next_cursor: str | None
