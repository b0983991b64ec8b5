"""No text and no number makes the service fail: what cannot be stored is refused, what is stored comes back."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.cursor import encode_cursor
from tests.fixtures import media
from tests.fixtures.service import Service

NASTY: dict[str, Any] = {
    "NUL": "a\x00b",
    "only NUL": "\x00",
    "lone surrogate": "\ud800",
    "swapped surrogates": "\udc00\ud800",
    "not a character": "\uffff\ufffe",
    "byte order mark": "\ufeff",
    "line separators": "\u2028\u2029\x85\x0b",
    "right to left": "\u202eabc",
    "escape": "\x1b[31m",
    "percent": "%s%n%00{0}${x}",
    "quotes": "'\";--\\",
    "long": "x" * 60_000,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "large float": 1e308,
    "large integer": 10**400,
    "larger integer": 10**5_000,
    "64 bits": 2**63,
    "negative": -(2**63) - 1,
    "true": True,
    "null": None,
    "list": [],
    "deep": json.loads("[" * 600 + "]" * 600),
    "object": {"\ud800": {"\x00": "\x00"}},
}


def dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def send(service: Service, method: str, path: str, body: Any) -> Any:
    """As a client would that escapes everything beyond ASCII, NaN included."""
    try:
        content = dumps(body)
    except ValueError:  # more digits than Python writes
        content = json.dumps({**body, next(iter(body)): "DIGITS"}).replace('"DIGITS"', "9" * 5_001).encode()
    return service.client.request(method, path, content=content, headers={"content-type": "application/json"})


def check(answer: Any) -> None:
    """Taken, or refused with reasons; never a failure."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


ITEM_FIELDS = ("title", "description", "categories", "attributes", "available", "published_at", "unknown")
PLACES = [
    *(("PUT", "/items/h", field) for field in ITEM_FIELDS),
    *(("PATCH", "/items/h", field) for field in ITEM_FIELDS),
    *(("POST", "/events", field) for field in ("user_id", "item_id", "type", "value", "timestamp", "event_id", "x")),
    *(("POST", "/admin/trainings", field) for field in ("method", "hyperparameters", "promote", "x")),
    *(("POST", "/admin/keys", field) for field in ("name", "scopes", "x")),
    ("POST", "/items/h/media/text", "text"),
]


@pytest.mark.parametrize(("method", "path", "field"), PLACES)
def test_every_field_of_every_body(shared: Service, method: str, path: str, field: str) -> None:
    shared.client.put("/items/h", json={"title": "here"})
    whole: dict[str, Any] = {
        "/events": {"user_id": "u", "item_id": "i"},
        "/admin/keys": {"name": "k", "scopes": ["recommend"]},
    }.get(path, {})
    for value in NASTY.values():
        check(send(shared, method, path, {field: value, **{k: v for k, v in whole.items() if k != field}}))
    check(shared.client.get("/items/h"))


@pytest.mark.parametrize("name", [name for name, value in NASTY.items() if isinstance(value, str)])
def test_names_of_fields(shared: Service, name: str) -> None:
    for method, path in (("PUT", "/items/h"), ("POST", "/events"), ("POST", "/admin/trainings")):
        check(send(shared, method, path, {NASTY[name]: 1}))
    check(send(shared, "POST", "/admin/trainings", {"hyperparameters": {NASTY[name]: 1}}))
    check(send(shared, "PUT", "/items/h", {"attributes": {NASTY[name]: 1}}))


@pytest.mark.parametrize("field", ["epochs", "learning_rate", "loss", "seed"])
def test_every_kind_of_hyperparameter(shared: Service, field: str) -> None:
    for name, value in NASTY.items():
        if name in BROKEN_NUMBERS and field == "learning_rate":
            continue
        check(send(shared, "POST", "/admin/trainings", {"hyperparameters": {field: value}}))


BROKEN_NUMBERS = ("large integer",)


def test_a_whole_number_beyond_any_float(shared: Service) -> None:
    check(send(shared, "POST", "/admin/trainings", {"hyperparameters": {"learning_rate": 10**400}}))


def is_same(found: Any, sent: Any) -> bool:
    """Equal as JSON: a number may come back written otherwise."""
    if isinstance(sent, dict):
        return found.keys() == sent.keys() and all(is_same(found[key], sent[key]) for key in sent)
    if isinstance(sent, list):
        return len(found) == len(sent) and all(map(is_same, found, sent))
    if isinstance(sent, float):
        return float(found) == sent
    return type(found) is type(sent) and found == sent


def test_numbers_that_postgresql_writes_otherwise_come_back(shared: Service) -> None:
    attributes = {"many": [1e300] * 2_000, "small": [1e-300, 5e-324, -0.0], "large": 10**300}
    answer = shared.client.put("/items/numbers", json={"attributes": attributes})
    assert answer.status_code == 201, answer.text
    for found in (answer, shared.client.get("/items/numbers")):
        assert is_same(found.json()["attributes"], attributes)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "AAAA", "é", "\x00", encode_cursor(2**63), encode_cursor(-(2**70)), encode_cursor("x"), encode_cursor()],
)
def test_cursors(shared: Service, cursor: str) -> None:
    for path in ("/items", "/admin/trainings"):
        answer = shared.client.get(path, params={"cursor": cursor})
        check(answer)
        if cursor:
            assert answer.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    "raw", ["%00", "%ED%A0%80", "%FF", "%0A", "%2F", "%2E%2E", "x" * 300, "%F0%9F%A6%80", "%25", "%3F"]
)
def test_ids_in_paths(shared: Service, raw: str) -> None:
    for method, path in (
        ("PUT", f"/items/{raw}"),
        ("GET", f"/items/{raw}"),
        ("POST", f"/items/{raw}/media/image"),
        ("POST", f"/items/h/media/{raw}"),
        ("GET", f"/items/h/media/{raw}"),
        ("GET", f"/recommend/{raw}"),
        ("DELETE", f"/admin/keys/{raw}"),
        ("GET", f"/admin/trainings/{raw}"),
        ("POST", f"/admin/models/{raw}/promote"),
        ("DELETE", f"/items/{raw}"),
    ):
        check(shared.client.request(method, path, json={} if method == "PUT" else None))


@pytest.mark.parametrize("number", [0, -1, 2**63, 2**64, "9" * 100, "1e3", "٣"])
def test_numbers_in_paths(shared: Service, number: Any) -> None:
    check(shared.client.delete(f"/admin/keys/{number}"))
    check(shared.client.post(f"/admin/models/v{number}/promote"))
    check(shared.client.get("/items", params={"limit": number}))


def test_multipart_that_is_malformed(shared: Service) -> None:
    kind = {"content-type": "multipart/form-data; boundary=b"}
    for body in (
        b"",
        b"--b",
        b"--b\r\n\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        b"\x00" * 99,
    ):
        for path in ("/items", "/items/h/media/image"):
            check(shared.client.post(path, content=body, headers=kind))
    for wrong in ("multipart/form-data", "multipart/form-data; boundary=", "text/plain", "\xff"):
        check(shared.client.post("/items", content=b"--b--", headers={"content-type": wrong.encode("latin-1")}))


@pytest.mark.parametrize("name", [name for name, value in NASTY.items() if isinstance(value, str)])
def test_items_in_multipart(shared: Service, name: str) -> None:
    value = NASTY[name]
    for fields in ({"item_id": value}, {"item_id": "h", "title": value}, {"item_id": "h", value: 1}):
        check(shared.client.post("/items", data={"item": dumps(fields).decode()}, files={"image": media.png(1)}))


def test_a_part_in_a_foreign_character_set(shared: Service) -> None:
    for charset in ("utf-7", "utf-16", "nonsense"):
        body = b'--b\r\nContent-Disposition: form-data; name="item"\r\n\r\n{"item_id": "+2AA-"}\r\n--b--\r\n'
        kind = f"multipart/form-data; boundary=b; charset={charset}"
        check(shared.client.post("/items", content=body, headers={"content-type": kind}))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_attributes(shared: Service, value: Any) -> None:
    answer = send(shared, "PUT", "/items/any", {"attributes": {"a": value}})
    check(answer)
    if answer.status_code < 400:
        assert is_same(answer.json()["attributes"], {"a": value})
