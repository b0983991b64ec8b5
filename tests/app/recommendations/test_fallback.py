"""What is shown to users nothing is known of, before and without any model."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from app.events.repository import EventRepository, NewEvent
from app.recommendations.repository import CatalogueRepository
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item

NOW = datetime.now(UTC)


def recommend(service: Service, user: str = "nobody", **query: Any) -> dict[str, Any]:
    answer = service.client.get(f"/recommend/{user}", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def send(service: Service, *events: tuple[str, str]) -> None:
    raw = [{"user_id": user, "item_id": item} for user, item in events]
    assert service.client.post("/events", json=raw).json()["accepted"] == len(events)


def look(service: Service) -> None:
    """Have the process look at PostgreSQL, as polling would."""
    edge = service.client.app.state.edge  # type: ignore[attr-defined]
    service.client.portal.call(edge.directory.refresh, service.project)  # type: ignore[union-attr]


def test_an_empty_catalogue_gets_an_empty_list(light: Service) -> None:
    answer = recommend(light)
    assert answer["items"] == []
    assert (answer["model_version"], answer["personalised"], answer["fallback"]) == (None, False, "latest")


def test_before_any_event_the_latest_come_first(light: Service) -> None:
    put_item(light, "old", "a", published_at="2020-01-01T00:00:00Z")
    put_item(light, "older", "b", published_at="2019-01-01T00:00:00Z")
    put_item(light, "today", "c")
    put_item(light, "hidden", "d", available=False)
    put_item(light, "tomorrow", "e", published_at=(NOW + timedelta(days=1)).isoformat())
    answer = recommend(light)
    assert ids(answer) == ["today", "old", "older"]
    assert answer["fallback"] == "latest"
    assert [item["rank"] for item in answer["items"]] == [1, 2, 3]
    assert {item["score"] for item in answer["items"]} == {None}


def test_events_make_trending_and_the_latest_fill_up(light: Service) -> None:
    for name in ("a", "b", "c"):
        put_item(light, name, name)
    send(light, ("u1", "b"), ("u2", "b"), ("u2", "a"), ("u3", "unknown"))
    look(light)
    answer = recommend(light)
    assert ids(answer) == ["b", "a", "c"]
    assert answer["fallback"] == "trending"
    assert ids(recommend(light, "u2")) == ["c"], "what a user has seen is left out"
    assert ids(recommend(light, "u2", exclude_seen=False)) == ["b", "a", "c"]
    assert ids(recommend(light, limit=1)) == ["b"]


def trending(service: Service, ages_s: dict[str, list[float]], *, half_life_s: float, **options: int) -> list[str]:
    """The order that the query gives to items with events of these ages."""
    with service.context.database.transaction() as transaction:
        events = [
            NewEvent(f"{item}-{n}", "u", item, "view", None, NOW - timedelta(seconds=age))
            for item, ages in ages_s.items()
            for n, age in enumerate(ages)
        ]
        EventRepository(transaction, service.project).insert(events)
    with service.context.database.transaction() as transaction:
        repository = CatalogueRepository(transaction, service.project)
        return list(repository.trending(half_life_s=half_life_s, **{"window": 1_000, "limit": 100, **options}))


def test_an_event_is_worth_half_after_each_half_life(light: Service) -> None:
    half_life_s = 3_600.0
    rng = np.random.default_rng(3)
    ages = {f"i{n}": (rng.uniform(0, 10, n % 4 + 1) * half_life_s).round().tolist() for n in range(12)}
    ages["newest"] = [0.0]
    worth = {item: sum(2 ** -(age / half_life_s) for age in of) for item, of in ages.items()}
    gaps = np.diff(sorted(worth.values()))
    assert gaps.min() > 1e-6, "the example has no ties"
    expected = sorted(worth, key=lambda item: -worth[item])
    assert trending(light, ages, half_life_s=half_life_s) == expected


def test_two_events_of_one_half_life_ago_weigh_as_much_as_one_now(light: Service) -> None:
    ages = {"once now": [0.0], "twice then": [100.0, 100.0], "a little more": [100.0, 99.0]}
    assert trending(light, ages, half_life_s=100.0) == ["a little more", "once now", "twice then"]


def test_only_the_window_counts(light: Service) -> None:
    assert trending(light, {"new": [0.0], "old": [5.0, 6.0, 7.0]}, half_life_s=1e9, window=2) == ["new", "old"]
    with light.context.database.transaction() as transaction:
        repository = CatalogueRepository(transaction, light.project)
        assert list(repository.trending(half_life_s=1e9, window=1, limit=9)) == ["new"]


def test_events_of_decades_ago_beside_one_of_today(light: Service) -> None:
    """A log from 1970 is thousands of half-lives old: its worth is next to nothing, and no error."""
    half_life_s = light.settings.trending_half_life_s
    ages = {"today": [0.0], "1970": [(NOW - datetime(1970, 1, 2, tzinfo=UTC)).total_seconds()]}
    assert trending(light, ages, half_life_s=half_life_s) == ["today", "1970"]


@pytest.mark.parametrize("limit", [0, -1, 1_001, "x", "NaN", ""])
def test_limits(shared: Service, limit: Any) -> None:
    answer = shared.client.get("/recommend/u", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "limit"
