"""The API's operations as plain descriptions of requests: what to send, without sending it."""

import json
import mimetypes
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from crossan.client.types import (
    AnyEvent,
    AnyItem,
    EventReport,
    Item,
    ItemBatchReport,
    ListedItems,
    Listing,
    ModelList,
    ModelVersion,
    Recommendation,
    RecommendationRequest,
    RecommendationResult,
    SimilarItems,
    Training,
    User,
)

Answer = TypeVar("Answer")
Options = Mapping[str, Any]
IDEMPOTENCY_KEY = "Idempotency-Key"
_REPEATABLE = frozenset({"GET", "PUT", "DELETE"})


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request; `Answer` is the type of its decoded JSON."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    content: bytes | None = None
    data: Mapping[str, str] | None = None
    files: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent twice: by its method, or because the service knows it again by its key."""
        return self.method in _REPEATABLE or IDEMPOTENCY_KEY in self.headers

    def once(self) -> "Call[Answer]":
        """The same with a key of its own, so that however often it is sent it happens once."""
        return replace(self, headers={**self.headers, IDEMPOTENCY_KEY: str(uuid.uuid4())})

    def options(self) -> dict[str, Any]:
        """As httpx takes it."""
        return {
            "params": {name: _parameter(value) for name, value in self.params.items() if value is not None},
            "json": self.json,
            "content": self.content,
            "data": self.data,
            "files": self.files,
            "headers": dict(self.headers),
        }


def _parameter(value: Any) -> Any:
    """As the address takes it: lists by repetition, maps as `name:number`."""
    if isinstance(value, Mapping):
        return [f"{name}:{number}" for name, number in value.items()]
    return str(value).lower() if isinstance(value, bool) else value


def _at(*parts: str) -> str:
    return "/v1/" + "/".join(quote(part, safe=":") for part in parts)


def recommend(user_id: str, options: Options) -> Call[Recommendation]:
    """What a user would want next."""
    return Call("GET", _at("recommend", user_id), params=options)


def recommend_one(request: Mapping[str, Any]) -> Call[Recommendation]:
    """The same for a session, or with options that do not fit into an address."""
    return Call("POST", _at("recommend"), json=request).once()


def recommend_many(requests: Sequence[RecommendationRequest]) -> Call[Listing[RecommendationResult]]:
    """Up to 256 of them at once, answered in order."""
    return Call[Listing[RecommendationResult]]("POST", _at("recommend"), json={"requests": list(requests)}).once()


def next_page(recommendation_id: str, limit: int | None) -> Call[Recommendation]:
    """More of a list that was shown."""
    return Call("GET", _at("recommend", "next", recommendation_id), params={"limit": limit})


def similar(item_id: str, options: Options) -> Call[SimilarItems]:
    """What resembles an item."""
    return Call("GET", _at("similar", item_id), params=options)


def similar_to_text(text: str, options: Options) -> Call[SimilarItems]:
    """What resembles a text."""
    return Call("POST", _at("similar"), params=options, json={"text": text})


def similar_to_file(file: Path | bytes, modality: str, options: Options) -> Call[SimilarItems]:
    """What resembles a file."""
    content, headers = _bytes_of(file)
    return Call("POST", _at("similar"), params={"modality": modality, **options}, content=content, headers=headers)


def listed(kind: str, options: Options) -> Call[ListedItems]:
    """What is `popular`, `trending` or `latest`."""
    return Call("GET", _at(kind), params=options)


def put_item(item_id: str, fields: AnyItem) -> Call[Item]:
    """Create an item, or replace what is said of it."""
    return Call("PUT", _at("items", item_id), json=fields)


def post_item(fields: Mapping[str, Any], files: Mapping[str, Any]) -> Call[Item]:
    """Create or replace an item together with its media: all of it is taken or nothing."""
    return Call[Item]("POST", _at("items"), data={"item": json.dumps(fields)}, files=files).once()


def patch_item(item_id: str, fields: AnyItem) -> Call[Item]:
    """Change some fields."""
    return Call[Item]("PATCH", _at("items", item_id), json=fields).once()


def get_item(item_id: str) -> Call[Item]:
    """One item with its media and its state."""
    return Call("GET", _at("items", item_id))


def delete_item(item_id: str) -> Call[None]:
    """Remove an item from every answer."""
    return Call("DELETE", _at("items", item_id))


def put_items(items: Iterable[Mapping[str, Any]]) -> Call[ItemBatchReport]:
    """Many items in one request."""
    return Call[ItemBatchReport]("POST", _at("items:batch"), json={"items": list(items)}).once()


def put_media(item_id: str, modality: str, file: Path | bytes) -> Call[Item]:
    """Attach one medium: the same bytes twice are one."""
    content, headers = _bytes_of(file)
    return Call[Item]("POST", _at("items", item_id, "media", modality), content=content, headers=headers).once()


def put_text(item_id: str, text: str) -> Call[Item]:
    """Attach a text."""
    return Call[Item]("POST", _at("items", item_id, "media", "text"), json={"text": text}).once()


def send_events(events: Sequence[AnyEvent]) -> Call[EventReport]:
    """Store events. Each needs an id or a time of its own to be told apart when it is sent twice."""
    return Call[EventReport]("POST", _at("events"), json={"events": list(events)}).once()


def put_user(user_id: str, attributes: Mapping[str, Any]) -> Call[User]:
    """Say something of a user."""
    return Call("PUT", _at("users", user_id), json={"attributes": dict(attributes)})


def get_user(user_id: str) -> Call[User]:
    """What is known of a user."""
    return Call("GET", _at("users", user_id))


def export_user(user_id: str) -> Call[dict[str, Any]]:
    """Everything that is kept of a person."""
    return Call("GET", _at("users", user_id, "export"))


def delete_user(user_id: str) -> Call[dict[str, Any]]:
    """Erase a person; the answer is the report of it."""
    return Call("DELETE", _at("users", user_id))


def merge_user(user_id: str, anonymous_id: str) -> Call[dict[str, Any]]:
    """Give what an anonymous id did to a user."""
    return Call[dict[str, Any]]("POST", _at("users", user_id, "merge"), json={"from": anonymous_id}).once()


def train(order: Mapping[str, Any]) -> Call[Training]:
    """Order a training."""
    return Call[Training]("POST", _at("admin", "trainings"), json=dict(order)).once()


def get_training(training_id: str) -> Call[Training]:
    """How far a training is."""
    return Call("GET", _at("admin", "trainings", training_id))


def list_models() -> Call[ModelList]:
    """Every version."""
    return Call("GET", _at("admin", "models"))


def promote(version: str) -> Call[ModelVersion]:
    """Let a version serve."""
    return Call[ModelVersion]("POST", _at("admin", "models", version, "promote")).once()


def _bytes_of(file: Path | bytes) -> tuple[bytes, dict[str, str]]:
    if isinstance(file, bytes):
        return file, {"Content-Type": "application/octet-stream"}
    guessed = mimetypes.guess_type(file.name)[0]
    return file.read_bytes(), {"Content-Type": guessed or "application/octet-stream"}
