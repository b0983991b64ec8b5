"""Events over the API, with the real cache, as `/recommend` sees them."""

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from app.core.config import Settings
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import histories, put_item

T0 = 1_700_000_000


def post(service: Service, body: Any, status: int = 200) -> dict[str, Any]:
    answer = service.client.post("/events", json=body)
    assert answer.status_code == status, answer.text
    report: dict[str, Any] = answer.json()
    return report


def recommended(service: Service, user: str) -> dict[str, Any]:
    answer = service.client.get(f"/recommend/{user}", params={"limit": 1_000})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(answer: dict[str, Any]) -> set[str]:
    return {item["item_id"] for item in answer["items"]}


def test_one_a_list_or_an_object_with_a_list(light: Service) -> None:
    event = {"user_id": "u", "item_id": "a"}
    assert post(light, event)["accepted"] == 1
    assert post(light, [{**event, "event_id": "1"}, {**event, "event_id": "2"}])["accepted"] == 2
    report = post(light, {"events": [{**event, "event_id": "2"}]})
    assert report["results"] == [{"status": "duplicate", "event_id": "2"}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_id": ""}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"user_id": 5}, "user_id"),
        ({"item_id": "x" * 257}, "item_id"),
        ({"item_id": "a\x00"}, "item_id"),
        ({"type": "two words"}, "type"),
        ({"value": "much"}, "value"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": -1}, "timestamp"),
        ({"timestamp": (datetime.now(UTC) + timedelta(days=2)).isoformat()}, "timestamp"),
        ({"timestamp": "9999-12-31T23:59:59-14:00"}, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
        ({"event_id": ""}, "event_id"),
        ({"price": 3}, "price"),
    ],
)
def test_a_wrong_event_names_its_field_and_harms_no_other(shared: Service, change: dict[str, Any], field: str) -> None:
    good = {"user_id": "u", "item_id": "a"}
    ids = [uuid.uuid4().hex for _ in range(3)]
    events = [{**good, "event_id": one} for one in ids]
    report = post(shared, [events[0], {**events[1], **change}, events[2]])
    assert [result["status"] for result in report["results"]] == ["accepted", "rejected", "accepted"]
    assert [error["field"] for error in report["results"][1]["errors"]] == [field]
    assert (report["accepted"], report["rejected"]) == (2, 1)


@pytest.mark.parametrize("raw", [None, 1, "x", [], [[]]])
def test_what_is_no_event_at_all(shared: Service, raw: Any) -> None:
    report = post(shared, [raw])
    assert report["rejected"] == 1


@pytest.mark.parametrize("body", [[], {"events": []}, {"events": None}, 5, "x"])
def test_without_any_event_it_is_refused(shared: Service, body: Any) -> None:
    answer = shared.client.post("/events", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "events"


def test_a_thousand_and_not_one_more(light: Service) -> None:
    events = [{"user_id": f"u{n % 7}", "item_id": f"i{n}", "timestamp": T0} for n in range(1_001)]
    problem = post(light, events, status=422)
    assert problem["errors"][0]["limit"] == 1_000
    assert light.client.get("/admin/status").json()["events"] == 0
    report = post(light, events[:1_000])
    assert report["accepted"] == 1_000
    assert post(light, events[:1_000])["duplicates"] == 1_000


def test_without_a_time_an_event_happened_now(light: Service) -> None:
    before = datetime.now(UTC)
    post(light, {"user_id": "u", "item_id": "a"})
    with light.context.database.transaction() as transaction:
        stamp = transaction.session.connection().exec_driver_sql("SELECT timestamp FROM events").scalar_one()
    assert before <= stamp <= datetime.now(UTC)


@pytest.mark.parametrize("is_cached", [False, True])
def test_an_event_counts_once_its_item_arrives(trained: Service, is_cached: bool) -> None:
    post(trained, {"user_id": "newcomer", "item_id": "later", "timestamp": T0})
    if is_cached:
        assert not recommended(trained, "newcomer")["personalised"]
    put_item(trained, "later", "harbour boat")
    trained.run_jobs()
    answer = recommended(trained, "newcomer")
    assert answer["personalised"]
    assert "later" not in ids(answer)
    assert "later" in ids(recommended(trained, "u0"))


def scores(answer: dict[str, Any]) -> dict[str, float]:
    return {item["item_id"]: item["score"] for item in answer["items"]}


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_late_events_end_in_the_right_order(trained: Service, order: list[int]) -> None:
    """Whatever the order of arrival, with the state in the cache, the answer is that of the order of time."""
    events = [{"item_id": item, "timestamp": T0 + step} for step, item in enumerate(["i1", "i4", "i7"])]
    post(trained, [{**event, "user_id": "in order"} for event in events])
    expected = scores(recommended(trained, "in order"))
    assert not recommended(trained, "late")["personalised"]
    for position in order:
        post(trained, {**events[position], "user_id": "late"})
        recommended(trained, "late")
    assert scores(recommended(trained, "late")) == pytest.approx(expected)


def test_a_flush_changes_no_answer(trained: Service, redis_url: str) -> None:
    def answers() -> list[dict[str, float]]:
        return [scores(recommended(trained, user)) for user in ("u0", "u1", "nobody")]

    expected = answers()
    assert answers() == expected
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
        assert answers() == expected
        post(trained, {"user_id": "u0", "item_id": "i3", "timestamp": T0 + 500})
        redis.flushall()
        assert "i3" not in ids(recommended(trained, "u0"))


def test_without_the_cache_events_are_taken_and_read_from_the_database(
    trained_settings: Settings, fakes: dict[str, FakeEncoder]
) -> None:
    away = trained_settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
    with running_service(away, fakes) as service:
        began = time.monotonic()
        assert post(service, {"user_id": "u0", "item_id": "i5", "timestamp": T0 + 900})["accepted"] == 1
        answer = recommended(service, "u0")
        assert time.monotonic() - began < 3, "a cache that is away must not make every request wait"
        assert answer["personalised"]
        assert not ids(answer) & {*histories()["u0"], "i5"}
        put_item(service, "new", "while the cache is away")
        assert service.client.get("/health/ready").status_code == 503
