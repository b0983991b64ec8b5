"""Shapes of what is sent and received; the service's OpenAPI document says the same in full."""

from collections.abc import Mapping
from typing import Any, Generic, NotRequired, TypedDict, TypeVar

Element = TypeVar("Element")


class EventWrite(TypedDict):
    """What a user did with an item."""

    user_id: str
    item_id: str
    type: NotRequired[str]
    value: NotRequired[float]
    timestamp: NotRequired[str | float]
    event_id: NotRequired[str]
    recommendation_id: NotRequired[str]


class EventResult(TypedDict):
    """What became of one event: `accepted`, `duplicate` or `rejected`."""

    status: str
    event_id: NotRequired[str]
    errors: NotRequired[list[dict[str, str]]]


class EventReport(TypedDict):
    """What became of several, in their order."""

    accepted: int
    duplicates: int
    rejected: int
    results: list[EventResult]


class ItemWrite(TypedDict, total=False):
    """What is said of an item; `published_at` is ISO 8601 with a zone."""

    title: str
    description: str
    categories: list[str]
    attributes: dict[str, Any]
    available: bool
    published_at: str | None


class Media(TypedDict):
    """One medium of an item."""

    content_type: str
    size_bytes: int
    sha256: str
    source: str
    width: int | None
    height: int | None
    duration_s: float | None
    state: str
    error: str | None


class Item(TypedDict):
    """An item as the service knows it."""

    item_id: str
    title: str
    description: str
    categories: list[str]
    attributes: dict[str, Any]
    available: bool
    published_at: str | None
    state: str
    error: str | None
    recommendable: bool
    media: dict[str, Media]
    created_at: str
    updated_at: str


AnyEvent = EventWrite | Mapping[str, Any]
AnyItem = ItemWrite | Mapping[str, Any]


class ItemBatchReport(TypedDict):
    """What became of the items of a batch, in their order."""

    results: list[dict[str, Any]]


class RecommendedItem(TypedDict):
    """One item of an answer."""

    item_id: str
    rank: int
    score: float | None
    title: str
    shares: dict[str, float] | None
    why: NotRequired[dict[str, Any]]


class Recommendation(TypedDict):
    """An answer: the items, best first, and how they came about."""

    recommendation_id: str
    user_id: str | None
    model_version: str | None
    personalised: bool
    fallback: str | None
    items: list[RecommendedItem]
    next_cursor: NotRequired[str | None]
    scenario: NotRequired[str | None]


class RecommendationRequest(TypedDict, total=False):
    """One request: for a `user_id`, or for a `session` of item ids or events; the options are those of `recommend`."""

    user_id: str
    session: list[Any]
    limit: int
    cursor: str
    scenario: str
    categories: list[str]
    filter: str
    include: list[str]
    exclude: list[str]
    diversity: float
    why: bool


class RecommendationResult(TypedDict):
    """One answer of several, or the problem in its place."""

    status: int
    recommendation: NotRequired[Recommendation | None]
    problem: NotRequired[dict[str, Any] | None]


class Listing(TypedDict, Generic[Element]):
    """Several results in the order of their requests."""

    results: list[Element]


class User(TypedDict):
    """A user as the service knows them."""

    user_id: str
    attributes: dict[str, Any]


class Training(TypedDict):
    """A training and how far it is."""

    id: str
    state: str
    method: str
    hyperparameters: dict[str, Any]
    progress: dict[str, Any] | None
    error: str | None
    result: dict[str, Any] | None


class ModelVersion(TypedDict):
    """A trained version."""

    version: str
    method: str
    live: bool
    items: int
    metrics: dict[str, Any]


class ModelList(TypedDict):
    """Every version, newest first."""

    models: list[ModelVersion]
