"""`/popular`, `/trending`, `/latest`: counts, windows, pages, filters."""

import time
import uuid
from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.cursor import encode_cursor
from app.recommendations.popular import Merit, PopularityCounter, PopularityRepository, Question
from app.recommendations.popular_lists import CountedList, ItemList
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of

HOUR = 3_600


@pytest.fixture
def shop(shared: Service) -> TestClient:
    """A project of its own with items a to f; c, d are of the sea."""
    client = client_of(shared, f"browse-{uuid.uuid4().hex}")
    for number, item in enumerate("abcdef"):
        fields = {"title": f"Item {item}", "attributes": {"number": number}}
        client.put(f"/items/{item}", json={**fields, "categories": ["sea"] if item in "cd" else []})
    return client


def happen(client: TestClient, *events: tuple[str, float] | tuple[str, float, str]) -> None:
    """Events of item, age in seconds, and type."""
    now = time.time()
    body = [
        {"user_id": f"u{n}", "item_id": item, "timestamp": now - age, "type": (*kind, "view")[0]}
        for n, (item, age, *kind) in enumerate(events)
    ]
    assert client.post("/events", json=body).json()["accepted"] == len(events)


def ask(client: TestClient, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def listed(answer: dict[str, Any]) -> list[tuple[str, float | None]]:
    return [(item["item_id"], item["score"]) for item in answer["items"]]


def test_popular_counts_events_in_the_window(shop: TestClient) -> None:
    happen(shop, ("a", 10), ("b", 20), ("b", 30), ("c", 40), ("f", 2 * HOUR), ("f", 2 * HOUR), ("f", 3 * HOUR))
    within = ask(shop, "/popular", window_s=HOUR)
    assert listed(within) == [("b", 2), ("a", 1), ("c", 1)], "equals in the order of their arrival"
    assert (within["counted_events"], within["items"][0]["title"]) == (4, "Item b")
    assert listed(ask(shop, "/popular"))[0] == ("f", 3)
    CountedList.model_validate(within)


def test_only_the_named_types_count(shop: TestClient) -> None:
    happen(shop, ("a", 1, "view"), ("a", 2, "view"), ("b", 3, "buy"), ("c", 4, "like"))
    assert listed(ask(shop, "/popular", type="buy")) == [("b", 1)]
    assert listed(ask(shop, "/popular", type=["buy", "like"])) == [("b", 1), ("c", 1)]
    assert listed(ask(shop, "/trending", type="never")) == []


def test_trending_halves_with_every_window(shop: TestClient) -> None:
    happen(shop, ("a", 0), ("b", HOUR), ("b", HOUR), ("b", 2 * HOUR))
    found = dict(listed(ask(shop, "/trending", window_s=HOUR)))
    assert found == pytest.approx({"b": 0.5 + 0.5 + 0.25, "a": 1}, rel=0.02)
    assert list(found) == ["b", "a"]
    assert list(dict(listed(ask(shop, "/trending", window_s=60)))) == ["a", "b"]


def test_events_of_the_future_wait(shop: TestClient) -> None:
    happen(shop, ("a", -HOUR), ("b", 1))
    assert listed(ask(shop, "/popular")) == [("b", 1)]


def test_unknown_deleted_and_hidden_items_are_not_listed(shop: TestClient) -> None:
    happen(shop, *((item, 1) for item in ("a", "b", "c", "unknown")))
    shop.delete("/items/a")
    shop.patch("/items/b", json={"available": False})
    for path in ("/popular", "/trending"):
        assert [item for item, _ in listed(ask(shop, path))] == ["c"]
    assert [item for item, _ in listed(ask(shop, "/latest"))] == ["f", "e", "d", "c"]


@pytest.mark.parametrize("path", ["/popular", "/trending", "/latest"])
def test_categories_filters_and_exclusions(shop: TestClient, path: str) -> None:
    happen(shop, *((item, 1) for item in "abcdef"))

    def found(**query: Any) -> set[str]:
        return {item for item, _ in listed(ask(shop, path, **query))}

    assert found() == set("abcdef")
    assert found(categories="sea") == {"c", "d"}
    assert found(filter="number < 3") == {"a", "b", "c"}
    assert found(categories="sea", filter="number < 3") == {"c"}
    assert found(exclude=["a", "b"]) == set("cdef")
    for query in ({"filter": "number <"}, {"limit": 0}, {"limit": 1_001}, {"cursor": "x"}, {"window": 3}):
        assert shop.get(path, params=query).status_code == 422


@pytest.mark.parametrize("path", ["/popular", "/trending", "/latest"])
@pytest.mark.parametrize("limit", [1, 2, 4, 6])
def test_pages_put_together_are_the_whole(shop: TestClient, path: str, limit: int) -> None:
    happen(shop, *((item, n) for n, item in enumerate("abcdef" + "bdf" + "df" + "f")))
    whole = ask(shop, path)
    assert whole["next_cursor"] is None
    found: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = ask(shop, path, limit=limit, **cursor)
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next_cursor"] is None:
            break
        # What happens in between does not move what the pages show.
        happen(shop, ("a", 0))
        cursor = {"cursor": page["next_cursor"]}
    keys = ("item_id", "rank", "title", "categories")
    assert [[item[key] for key in keys] for item in found] == [[item[key] for key in keys] for item in whole["items"]]


def test_latest_goes_by_publication_or_arrival(shop: TestClient) -> None:
    shop.patch("/items/a", json={"published_at": "2999-01-01T00:00:00Z"})
    shop.patch("/items/b", json={"published_at": "2001-01-01T00:00:00Z"})
    answer = ask(shop, "/latest")
    assert listed(answer) == [(item, None) for item in "fedcb"]
    ItemList.model_validate(answer)


def test_an_item_that_leaves_between_pages_moves_nothing(shop: TestClient) -> None:
    first = ask(shop, "/latest", limit=2)
    shop.delete("/items/e")
    second = ask(shop, "/latest", limit=2, cursor=first["next_cursor"])
    assert [item for item, _ in listed(first) + listed(second)] == ["f", "e", "d", "c"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 200), st.sampled_from(["x", "y"])), max_size=20),
    window=st.integers(60, 200),
    types=st.sets(st.sampled_from(["x", "y"])),
    most=st.integers(1, 30),
)
def test_counts_are_those_of_a_slow_reference(
    shared: Service, events: list[tuple[str, int, str]], window: int, types: set[str], most: int
) -> None:
    client = client_of(shared, f"count-{uuid.uuid4().hex}")
    for item in "abc":
        client.put(f"/items/{item}", json={})
    now = 1_700_000_000
    if events:
        body = [
            {"user_id": f"u{n}", "item_id": item, "timestamp": now - age, "type": kind, "event_id": str(n)}
            for n, (item, age, kind) in enumerate(events)
        ]
        client.post("/events", json=body)
    project = project_of(client)
    question = Question(Merit.POPULAR, window, tuple(sorted(types)), now * 1_000_000)
    with shared.context.database.transaction() as transaction:
        counted = PopularityRepository(transaction, project).count(question, most=max(most, len(events)))
    expected = Counter(item for item, age, kind in events if age < window and (not types or kind in types))
    assert dict(zip(counted.item_ids, counted.scores, strict=True)) == expected
    assert counted.events == expected.total()
    order = sorted(expected, key=lambda item: (-expected[item], item))
    assert list(counted.item_ids) == order
    with shared.context.database.transaction() as transaction:
        bounded = PopularityRepository(transaction, project).count(question, most=most)
    assert bounded.events <= most


def project_of(client: TestClient) -> Any:
    app: Any = client.app
    assert client.portal is not None
    return client.portal.call(app.state.authenticator.authenticate, client.headers["authorization"][7:]).project


def test_those_who_ask_the_same_share_one_query(shared: Service, shop: TestClient) -> None:
    asked: list[Question] = []

    class Counting(PopularityCounter):
        async def _ask(self, project: Any, question: Question) -> Any:
            asked.append(question)
            return await super()._ask(project, question)

    counter = Counting(shared.context.database, most=100, keep_s=10)
    project = project_of(shop)
    question = Question(Merit.POPULAR, 60, (), counter.present())

    async def ask_twice() -> None:
        first = await counter.count(project, question)
        assert await counter.count(project, question) is first

    assert shop.portal is not None
    shop.portal.call(ask_twice)
    assert len(asked) == 1
    assert counter.present() % 10_000_000 == 0


def test_projects_do_not_see_each_others_lists(shared: Service, shop: TestClient) -> None:
    happen(shop, ("a", 1))
    other = client_of(shared, f"other-{uuid.uuid4().hex}")
    other.put("/items/a", json={"title": "theirs"})
    assert listed(ask(other, "/popular")) == []
    assert [item["title"] for item in ask(other, "/latest")["items"]] == ["theirs"]


@pytest.mark.parametrize("path", ["/popular", "/trending"])
@pytest.mark.parametrize("until_us", [-1, 9_000_000_000_000_000_000])
def test_a_cursor_from_beyond_time_is_refused(shop: TestClient, path: str, until_us: int) -> None:
    answer = shop.get(path, params={"cursor": encode_cursor(until_us, 0, 0)})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize("path", ["/popular", "/trending"])
def test_a_type_that_no_event_can_have_is_refused(shop: TestClient, path: str) -> None:
    answer = shop.get(path, params={"type": "a b"})
    assert (answer.status_code, answer.json()["errors"][0]["field"].partition(".")[0]) == (422, "type")
