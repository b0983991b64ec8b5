"""A user's past when the cache is there, empty, or away: always the same."""

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from app.recommendations.history import HistoryReader
from app.stores.sequence_state import SeenItem
from tests.fixtures.service import Service

CAP = 3


def read(service: Service, *, users: int = 0, **options: Any) -> Any:
    """Twice."""
    edge = service.client.app.state.edge  # type: ignore[attr-defined]
    history = HistoryReader(service.context.database, edge.recommender._history._cache, cap=CAP, users=users)

    async def both() -> Any:
        return [await history.read(service.project, "u", **options) for _ in range(2)]

    return service.client.portal.call(both)  # type: ignore[union-attr]


def test_from_the_database_and_from_the_cache(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    events = [
        {"user_id": "u", "item_id": item, "type": type_, "timestamp": 1_700_000_000 + second}
        for second, (item, type_) in enumerate([("a", "view"), ("a", "like"), ("a", "view"), *[("b", "view")] * CAP])
    ]
    assert light.client.post("/events", json=events).json()["accepted"] == len(events)
    filled, cached = read(light)
    assert (filled.state, filled.shown) == (cached.state, cached.shown)
    assert cached.state.item_ids == ["b"] * CAP
    assert set(cached.state.older) == {
        SeenItem("a", "view", 1_700_000_002_000_000),
        SeenItem("a", "like", 1_700_000_001_000_000),
    }
    assert read(light, older=False)[0].state.older == []

    async def away(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(0)
        raise RedisConnectionError("away")

    monkeypatch.setattr("app.stores.sequence_cache.RedisSequenceReader.read", away)
    monkeypatch.setattr("app.stores.sequence_cache.RedisSequenceReader.show", away)
    for found in read(light, shown_since=0.0):
        assert found.state.events == cached.state.events
        assert set(found.state.older) == set(cached.state.older)
        assert found.shown == {}
    answer = light.client.get("/recommend/u", params={"rotation_s": 60})
    assert answer.status_code == 200
    session = {"session": [], "session_id": "s", "rotation_s": 60}
    assert light.client.post("/recommend", json=session).status_code == 200


def test_a_user_is_remembered_until_something_happens(light: Service) -> None:
    def see(item_id: str) -> None:
        event = {"user_id": "u", "item_id": item_id, "timestamp": 1_700_000_000}
        assert light.client.post("/events", json=event).json()["accepted"] == 1

    edge = light.client.app.state.edge  # type: ignore[attr-defined]
    history = HistoryReader(light.context.database, edge.recommender._history._cache, cap=CAP, users=10)

    def past(**options: Any) -> Any:
        return light.client.portal.call(lambda: history.read(light.project, "u", **options)).past  # type: ignore[union-attr]

    see("a")
    known = past()
    assert past() is known, "filled from the database"
    see("b")
    changed = past()
    assert changed is not known
    assert changed.state.item_ids == ["a", "b"]
    history.forget(light.project, "u")
    assert past() is not changed
    assert past(older=False) is past(older=False), "what is more than enough is remembered too"
