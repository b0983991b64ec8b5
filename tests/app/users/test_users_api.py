"""Users over HTTP: attributes, lists, history and export."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.cursor import encode_cursor
from app.db.tables import AnswerRow
from app.users.repository import UserRepository
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of

T0 = 1_700_000_000


@pytest.fixture
def name() -> str:
    """An id that no other test of this module has."""
    return f"user-{uuid.uuid4().hex}"


def send(service: Service, *events: dict[str, Any]) -> None:
    answer = service.client.post("/events", json=list(events))
    assert answer.json()["accepted"] == len(events), answer.text


def event(user: str, item: str, at: float = T0, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "timestamp": at, **more}


def test_put_creates_then_replaces(shared: Service, name: str) -> None:
    first = shared.client.put(f"/users/{name}", json={"attributes": {"country": "NO", "age": 30}})
    assert (first.status_code, first.json()["attributes"]) == (201, {"country": "NO", "age": 30})
    second = shared.client.put(f"/users/{name}", json={"attributes": {"country": "SE"}})
    assert (second.status_code, second.json()["attributes"]) == (200, {"country": "SE"})
    assert shared.client.get(f"/users/{name}").json() == second.json()
    assert second.json()["created_at"] == first.json()["created_at"]
    assert second.json()["updated_at"] > first.json()["updated_at"]


def test_patch_sets_keeps_and_removes(shared: Service, name: str) -> None:
    shared.client.put(f"/users/{name}", json={"attributes": {"a": 1, "b": {"c": 2}}})
    answer = shared.client.patch(f"/users/{name}", json={"attributes": {"a": None, "d": [3]}})
    assert answer.json()["attributes"] == {"b": {"c": 2}, "d": [3]}


def test_attributes_that_grow_too_large_are_refused_as_a_whole(shared: Service, name: str) -> None:
    shared.client.put(f"/users/{name}", json={"attributes": {"a": "x" * 10_000}})
    answer = shared.client.patch(f"/users/{name}", json={"attributes": {"b": "x" * 10_000}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "attributes"
    assert "16,384" in answer.json()["detail"]
    assert set(shared.client.get(f"/users/{name}").json()["attributes"]) == {"a"}


def test_events_alone_make_a_user(shared: Service, name: str) -> None:
    assert shared.client.get(f"/users/{name}").status_code == 404
    send(shared, event(name, "i1", T0 + 5), event(name, "i2", T0))
    user = shared.client.get(f"/users/{name}").json()
    assert user == {
        "user_id": name,
        "attributes": {},
        "last_event_at": "2023-11-14T22:13:25Z",
        "created_at": None,
        "updated_at": None,
    }
    assert shared.client.patch(f"/users/{name}", json={"attributes": {"a": 1}}).json()["attributes"] == {"a": 1}


@pytest.mark.parametrize(
    ("method", "path"), [("get", ""), ("patch", ""), ("delete", ""), ("get", "/history"), ("get", "/export")]
)
def test_an_unknown_user_is_a_404(shared: Service, name: str, method: str, path: str) -> None:
    body: Any = {"attributes": {}} if method == "patch" else None
    answer = shared.client.request(method, f"/users/{name}{path}", json=body)
    assert answer.status_code == 404
    assert answer.json()["user_id"] == name


def listed(client: Any, limit: int) -> list[str]:
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/users", params={"limit": limit, **cursor}).json()
        assert len(page["users"]) <= limit
        found += [user["user_id"] for user in page["users"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def test_the_list_has_everybody_once_in_the_order_of_ids(shared: Service) -> None:
    client = client_of(shared, f"list-{uuid.uuid4().hex}")
    client.post("/events", json=[event(user, f"i{n}") for n in range(3) for user in ("b", "d", "Ä", "a b")])
    for user in ("a", "b", "z"):
        client.put(f"/users/{user}", json={"attributes": {"of": user}})
    whole = listed(client, 1_000)
    assert sorted(whole) == sorted(["a", "a b", "b", "d", "z", "Ä"])
    assert listed(client, 1) == listed(client, 4) == whole
    users = client.get("/users").json()["users"]
    assert {user["user_id"]: user["attributes"] for user in users}["b"] == {"of": "b"}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.sets(st.sampled_from("abcdefgh")), events=st.sets(st.sampled_from("abcdefgh")), limit=st.integers(1, 10))
def test_walking_from_id_to_id_is_the_sorted_union(
    shared: Service, rows: set[str], events: set[str], limit: int
) -> None:
    client = client_of(shared, f"walk-{uuid.uuid4().hex}")
    for user in rows:
        client.put(f"/users/{user}", json={})
    if events:
        client.post("/events", json=[event(user, "i") for user in events])
    assert listed(client, limit) == sorted(rows | events)


def test_history_is_newest_first_page_by_page(shared: Service, name: str) -> None:
    items = [f"i{n}" for n in range(7)]
    send(shared, *(event(name, item, T0 + n // 2) for n, item in enumerate(items)), event(f"not-{name}", "x"))
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = shared.client.get(f"/users/{name}/history", params={"limit": 2, **cursor}).json()
        found += [one["item_id"] for one in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == items[::-1]


def test_history_of_some_types(shared: Service, name: str) -> None:
    send(shared, *(event(name, kind, T0 + n, type=kind) for n, kind in enumerate(("view", "like", "buy"))))
    page = shared.client.get(f"/users/{name}/history", params={"type": ["buy", "view"]}).json()
    assert [one["item_id"] for one in page["events"]] == ["buy", "view"]


@pytest.mark.parametrize("cursor", ["x", "WzFd", "W10", encode_cursor(2**62, 1), encode_cursor("a", 1)])
def test_a_cursor_of_somebody_else_is_refused(shared: Service, name: str, cursor: str) -> None:
    send(shared, event(name, "i"))
    assert shared.client.get(f"/users/{name}/history", params={"cursor": cursor}).status_code == 422


def test_the_export_holds_attributes_events_and_answers(shared: Service, name: str) -> None:
    send(shared, event(name, "i1", T0), event(name, "i2", T0 + 1, type="like", value=2.5))
    shared.client.put(f"/users/{name}", json={"attributes": {"country": "NO"}})
    answer_id = record_answer(shared, name)
    answer = shared.client.get(f"/users/{name}/export")
    assert answer.headers["content-type"] == "application/json"
    export = answer.json()
    assert export["attributes"] == {"country": "NO"}
    assert [(one["item_id"], one["type"], one["value"]) for one in export["events"]] == [
        ("i1", "view", None),
        ("i2", "like", 2.5),
    ]
    assert [one["id"] for one in export["answers"]] == [str(answer_id)]
    assert "project_id" not in answer.text


def record_answer(service: Service, user: str) -> uuid.UUID:
    """An answer as the log writes it down."""
    answer_id = uuid.uuid4()
    with service.context.database.transaction() as transaction:
        (known,) = UserRepository(transaction, service.project).known([user])
        transaction.session.add(
            AnswerRow(
                project_id=service.project,
                id=answer_id,
                at=known.last_event_at,
                at_s=0.0,
                user_id=user,
                snapshot="1:1:",
                options={},
                rotated={},
                rank_offset=0,
                item_ids=["i1"],
                scores=[1.0],
                propensities=[1.0],
                sources=["personal"],
            )
        )
    return answer_id


def test_projects_do_not_see_each_others_users(shared: Service, name: str) -> None:
    send(shared, event(name, "i"))
    shared.client.put(f"/users/{name}", json={"attributes": {"a": 1}})
    other = client_of(shared, f"other-{uuid.uuid4().hex}")
    for method, path in (("get", ""), ("get", "/history"), ("get", "/export"), ("delete", "")):
        assert other.request(method, f"/users/{name}{path}").status_code == 404
    assert other.get("/users").json() == {"users": [], "next_cursor": None}
    assert other.post("/users/thief/merge", json={"from": name}).json()["moved_events"] == 0
    assert shared.client.get(f"/users/{name}").json()["attributes"] == {"a": 1}


@pytest.mark.parametrize("body", [{"attributes": {"a": "\x00"}}, {"name": "x"}, {"attributes": []}, []])
def test_what_cannot_be_attributes_is_refused(shared: Service, name: str, body: Any) -> None:
    assert shared.client.put(f"/users/{name}", json=body).status_code == 422


def test_the_export_has_an_answer_of_a_moment_ago(shared: Service, name: str) -> None:
    shared.client.put(f"/users/{name}", json={"attributes": {}})
    answer = shared.client.get(f"/recommend/{name}").json()
    export = shared.client.get(f"/users/{name}/export").json()
    assert [one["id"] for one in export["answers"]] == [answer["recommendation_id"]]


def test_the_export_has_every_digit_and_every_level(shared: Service, name: str) -> None:
    deep: Any = 10**40
    for _ in range(99):
        deep = [deep]
    put = shared.client.put(f"/users/{name}", json={"attributes": {"deep": deep}})
    assert put.status_code == 201, put.text
    exported = shared.client.get(f"/users/{name}/export")
    assert exported.status_code == 200, exported.text
    assert json.loads(exported.content)["attributes"] == {"deep": deep}
