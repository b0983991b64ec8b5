"""Reads requests of `/recommend`: query parameters and bodies, checked only as far as they are there."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import QueryParams

from app.core.errors import InvalidRequest
from app.recommendations.planning import Wish
from app.recommendations.requests import MAX_BATCH, RecommendRequest

LISTS = frozenset({"categories", "include", "exclude", "exclude_seen_types"})
COUNTED = frozenset({"category_caps", "pinned"})
"""Parameters like `pinned=i7:1`."""
PEOPLE = ("user_id", "session_id")
"""What tells whose list it is."""
TOGETHER = 32
"""Requests of a batch that are answered at once."""
MAX_WISHES = 1_024
"""Query strings that are remembered: most clients ask in the same few ways."""
SOMEBODY = "somebody"
"""A request has to be for somebody, a wish is for anybody."""
NOT_IN_A_QUERY = frozenset({"user_id", "session", "session_id"})


_known_wishes: dict[bytes, Wish] = {b"": Wish(RecommendRequest(user_id=SOMEBODY))}


def known_wish(query: bytes) -> Wish | None:
    """What a query string asks for, if it was read before and is right."""
    return _known_wishes.get(query)


def wish_of_query(query: bytes) -> Wish:
    """What the query string of a GET asks for; raises RequestValidationError that names the parameter."""
    wish = _known_wishes.get(query)
    if wish is None:
        wish = _read(query)
        if wish.cursor is None:
            # A cursor is asked for once.
            if len(_known_wishes) >= MAX_WISHES:
                _known_wishes.clear()
            _known_wishes[query] = wish
    return wish


def _read(query: bytes) -> Wish:
    fields: dict[str, Any] = {}
    for name, value in QueryParams(query).multi_items():
        if name in LISTS:
            fields.setdefault(name, []).append(value)
        elif name in COUNTED:
            key, colon, count = value.rpartition(":")
            if not colon:
                raise InvalidRequest.of(name, "must be written as name:number, like i7:1")
            fields.setdefault(name, {})[key] = count
        elif name in NOT_IN_A_QUERY:
            raise InvalidRequest.of(name, "is not a parameter of this route")
        else:
            fields[name] = value
    return Wish(_checked({**fields, "user_id": SOMEBODY}, "query"))


def requests_of_body(body: bytes) -> tuple[list[Any], bool]:
    """The requests of a POST, not checked yet, and whether they came as a batch."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest.of("body", f"is not JSON: {error}") from error
    if isinstance(parsed, dict) and "requests" not in parsed:
        return [parsed], False
    requests = parsed["requests"] if isinstance(parsed, dict) else parsed
    if not isinstance(requests, list) or not requests:
        raise InvalidRequest.of("requests", "must be one request or a list of at least one")
    if len(requests) > MAX_BATCH:
        raise InvalidRequest.of("requests", f"{len(requests):,} requests, the limit is {MAX_BATCH}", limit=MAX_BATCH)
    return requests, True


def rounds(requests: Sequence[Any]) -> Iterator[list[Any]]:
    """The requests of a batch, in order, as many at once as share a round trip; never two of the same person.

    What one list shows counts as shown for the next one (`rotation_s`).
    """
    together: list[Any] = []
    people: set[Any] = set()
    for raw in requests:
        person = repr([raw.get(name) for name in PEOPLE]) if isinstance(raw, dict) else None
        if len(together) >= TOGETHER or person in people:
            yield together
            together, people = [], set()
        together.append(raw)
        people.add(person)
    yield together


def request_of_json(raw: Any) -> RecommendRequest:
    """One request of a POST; raises RequestValidationError that names the field."""
    return _checked(raw, "body")


def _checked(raw: Any, place: str) -> RecommendRequest:
    try:
        return RecommendRequest.model_validate(raw)
    except ValidationError as error:
        errors = [{**one, "loc": (place, *one["loc"])} for one in error.errors(include_url=False)]
        raise RequestValidationError(errors) from error


def parameters() -> list[dict[str, Any]]:
    """The query parameters for the OpenAPI document, made from the model."""
    fields = _schema()["properties"]
    return [_parameter(name, schema) for name, schema in fields.items() if name not in NOT_IN_A_QUERY]


def _parameter(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    description = RecommendRequest.model_fields[name].description or ""
    if name in COUNTED:
        what = "item:rank" if name == "pinned" else "category:most"
        description += f" Each as `{what}`."
        schema = {"type": "array", "items": {"type": "string", "pattern": r"^.+:[0-9]{1,4}$"}}
    elif "anyOf" in schema:
        (schema,) = (one for one in schema["anyOf"] if one.get("type") != "null")
    shown = {key: value for key, value in schema.items() if key not in ("description", "title")}
    return {"name": name, "in": "query", "required": False, "description": description, "schema": shown}


def body() -> dict[str, Any]:
    """The request body for the OpenAPI document."""
    one = _schema()
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_BATCH}
    wrapped = {"type": "object", "properties": {"requests": many}, "required": ["requests"]}
    return {"required": True, "content": {"application/json": {"schema": {"anyOf": [one, many, wrapped]}}}}


def _schema() -> dict[str, Any]:
    """Of a request, without references."""
    schema = RecommendRequest.model_json_schema()
    inlined: dict[str, Any] = _inlined(schema, schema.pop("$defs"))
    return inlined


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in node.items()}
