"""Shapes of what is sent and received; the service's OpenAPI document says the same in full."""

from collections.abc import Mapping, Sequence
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

    content_type: str | None
    size_bytes: int | None
    sha256: str | None
    source: str
    width: int | None
    height: int | None
    duration_s: float | None
    state: str
    error: str | None
    fetch: NotRequired[dict[str, Any] | None]


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


class BatchLine(TypedDict):
    """What became of one line: `created`, `updated`, `accepted`, `duplicate` or `rejected`."""

    line: int
    status: str
    id: str | None
    errors: NotRequired[list[dict[str, Any]]]


class ItemBatchReport(TypedDict):
    """What became of the items of a batch, in their order."""

    summary: dict[str, int]
    results: list[BatchLine]


class RecommendedItem(TypedDict):
    """One item of an answer."""

    item_id: str
    rank: int
    score: float | None
    title: str
    shares: dict[str, float] | None
    why: NotRequired[list[dict[str, Any]]]


class Recommendation(TypedDict):
    """An answer: the items, best first, and how they came about."""

    recommendation_id: str
    user_id: str | None
    model_version: str | None
    scenario: str | None
    experiment: str | None
    arm: str | None
    personalised: bool
    fallback: str | None
    items: list[RecommendedItem]
    next_cursor: str | None


class SimilarItems(TypedDict):
    """What resembles an item or an upload, most alike first."""

    recommendation_id: str
    user_id: str | None
    item_id: str | None
    by: str | None
    model_version: str
    personalised: bool
    items: list[RecommendedItem]


class ListedItems(TypedDict):
    """A list that is the same for everybody."""

    items: list[dict[str, Any]]
    next_cursor: str | None


class RecommendOptions(TypedDict, total=False):
    """How a list is made; what is left out comes from the scenario, or is the default."""

    scenario: str
    cursor: str
    limit: int
    categories: Sequence[str]
    filter: str
    include: Sequence[str]
    exclude: Sequence[str]
    exclude_seen: bool
    exclude_seen_types: Sequence[str]
    exclude_seen_max_age_s: float
    diversity: float
    freshness_weight: float
    freshness_half_life_s: float
    category_cap: int
    category_caps: Mapping[str, int]
    pinned: Mapping[str, int]
    why: bool
    rotation_s: float
    explore: float
    explore_pool: int


class RecommendationRequest(RecommendOptions, total=False):
    """One request: for a `user_id`, or for a `session` of item ids or events, oldest first."""

    user_id: str
    session: Sequence[str | Mapping[str, Any]]
    session_id: str


class SimilarOptions(TypedDict, total=False):
    """What may be shown beside an item; `by` names one modality."""

    by: str
    limit: int
    categories: Sequence[str]
    filter: str
    exclude: Sequence[str]


class UploadOptions(TypedDict, total=False):
    """What may be shown beside an upload; `personal` (0 to 1) is the weight of the user's taste."""

    user_id: str
    personal: float
    limit: int
    categories: Sequence[str]
    filter: str
    exclude: Sequence[str]


class ListOptions(TypedDict, total=False):
    """What may be in a list; `window_s` and `type` say which events count."""

    limit: int
    cursor: str
    categories: Sequence[str]
    filter: str
    window_s: float
    type: Sequence[str]


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
    last_event_at: str | None
    created_at: str | None
    updated_at: str | None


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
