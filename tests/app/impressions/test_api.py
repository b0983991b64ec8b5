"""Impressions, attribution and metrics over the API."""

import time
import uuid
from typing import Any

import pytest

from app.core.ids import uuid7
from app.core.types import Scope
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of


def recommend(service: Service, user: str = "u0", **params: Any) -> dict[str, Any]:
    found = service.client.get(f"/recommend/{user}", params={"limit": 4, **params})
    assert found.status_code == 200, found.text
    answer: dict[str, Any] = found.json()
    return answer


def metrics(service: Service, status: int = 200, **params: Any) -> dict[str, Any]:
    found = service.client.get("/admin/metrics", params=params)
    assert found.status_code == status, found.text
    parsed: dict[str, Any] = found.json()
    return parsed


def post_event(service: Service, answer: dict[str, Any], place: int, kind: str = "view") -> None:
    event = {
        "user_id": answer["user_id"],
        "item_id": answer["items"][place]["item_id"],
        "type": kind,
        "recommendation_id": answer["recommendation_id"],
    }
    assert service.client.post("/events", json=event).json()["accepted"] == 1


def report(service: Service, status: int = 200, **body: Any) -> dict[str, Any]:
    found = service.client.post("/impressions", json=body)
    assert found.status_code == status, found.text
    parsed: dict[str, Any] = found.json()
    return parsed


def wait_for_answers(service: Service, count: int) -> dict[str, Any]:
    """The metrics once so many answers are written."""
    until = time.monotonic() + 30
    while True:
        (group,) = metrics(service)["groups"]
        if group["answers"] >= count or time.monotonic() > until:
            assert group["answers"] == count
            found: dict[str, Any] = group
            return found
        time.sleep(0.05)


def test_what_was_clicked_of_an_answer_counts(trained: Service) -> None:
    first, _, cold = recommend(trained), recommend(trained, "u1"), recommend(trained, "nobody")
    post_event(trained, first, 1)
    post_event(trained, first, 1)
    post_event(trained, cold, 3, "buy")
    group = wait_for_answers(trained, 3)
    assert (group["impressions"], group["clicks"], group["users"]) == (12, 2, 3)
    assert group["ctr"]["value"] == pytest.approx(2 / 12)
    assert group["ctr"]["low"] < 2 / 12 < group["ctr"]["high"]
    assert group["mrr"] == pytest.approx((1 / 2 + 1 / 4) / 3)
    assert group["events"] == {"buy": 1, "view": 1}
    assert group["fallback_rate"]["value"] == pytest.approx(1 / 3)
    assert [(one["rank"], one["impressions"], one["clicks"]) for one in group["positions"]] == [
        (1, 3, 0),
        (2, 3, 1),
        (3, 3, 0),
        (4, 3, 1),
    ]
    bought = metrics(trained, click_types="buy", conversion_types=["buy", "rent"])["groups"][0]
    assert (bought["clicks"], bought["converted_answers"]) == (1, 1)
    by_version = {group["group"]: group["answers"] for group in metrics(trained, group_by="version")["groups"]}
    assert by_version == {"v1": 3}
    client = client_of(trained, "other")
    assert client.get("/admin/metrics").json()["groups"][0]["answers"] == 0


def test_what_was_seen_can_be_told(trained: Service) -> None:
    answer = recommend(trained)
    named, items = answer["recommendation_id"], [item["item_id"] for item in answer["items"]]
    assert report(trained, recommendation_id=named, shown=1) == {"recommendation_id": named, "seen": 1, "items": 4}
    assert report(trained, recommendation_id=named, shown=1)["seen"] == 1
    assert report(trained, recommendation_id=named, item_ids=[items[3]])["seen"] == 2
    post_event(trained, answer, 2)
    post_event(trained, answer, 3)
    group = wait_for_answers(trained, 1)
    assert (group["impressions"], group["clicks"], group["items_shown"]) == (2, 1, 2)
    assert [one["rank"] for one in group["positions"]] == [1, 4]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"shown": 5}, "shown"),
        ({"shown": -1}, "body.shown"),
        ({"shown": 1, "item_ids": []}, "body"),
        ({}, "body"),
        ({"item_ids": ["elsewhere"]}, "item_ids"),
        ({"shown": 1, "recommendation_id": "x"}, "body.recommendation_id"),
    ],
)
def test_a_wrong_report_names_its_field(trained: Service, body: dict[str, Any], field: str) -> None:
    problem = report(trained, 422, **{"recommendation_id": recommend(trained)["recommendation_id"], **body})
    assert problem["errors"][0]["field"].removeprefix("body.") == field.removeprefix("body.")


@pytest.mark.parametrize("unknown", [uuid.uuid4, uuid7])
def test_a_report_for_no_answer(shared: Service, unknown: Any) -> None:
    problem = report(shared, 404, recommendation_id=str(unknown()), shown=0)
    assert problem["type"].endswith("recommendation-not-found")


def test_another_projects_answer_is_none(trained: Service) -> None:
    named = recommend(trained)["recommendation_id"]
    client = client_of(trained, "other")
    assert client.post("/impressions", json={"recommendation_id": named, "shown": 1}).status_code == 404


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"group_by": "colour"}, "group_by"),
        ({"window_s": 0}, "window_s"),
        ({"window_s": "nan"}, "window_s"),
        ({"click_types": "two words"}, "click_types"),
        ({"experiment_id": 2**63}, "experiment_id"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_parameter_is_named(shared: Service, params: dict[str, Any], field: str) -> None:
    problem = metrics(shared, 422, **params)
    assert field in problem["errors"][0]["field"]


def test_metrics_of_nothing(shared: Service) -> None:
    (group,) = metrics(shared)["groups"]
    assert (group["answers"], group["coverage"], group["mrr"], group["positions"]) == (0, None, None, [])
    assert group["ctr"] == {"value": None, "low": None, "high": None}
    assert metrics(shared, group_by="scenario")["groups"] == []


def test_who_may(shared: Service) -> None:
    ingest, recommending = shared.headers(Scope.INGEST), shared.headers(Scope.RECOMMEND)
    body = {"recommendation_id": str(uuid.uuid4()), "shown": 1}
    assert shared.client.post("/impressions", json=body, headers=recommending).status_code == 403
    assert shared.client.get("/admin/metrics", headers=ingest).status_code == 403
    assert shared.client.post("/impressions", json=body, headers=ingest).status_code == 404


@pytest.mark.parametrize("wrong", ["x", 5, "", {}])
def test_an_event_with_a_malformed_recommendation_is_rejected(shared: Service, wrong: Any) -> None:
    events = [{"user_id": "u", "item_id": "a", "event_id": uuid.uuid4().hex} for _ in range(2)]
    found = shared.client.post("/events", json=[{**events[0], "recommendation_id": wrong}, events[1]]).json()
    assert [result["status"] for result in found["results"]] == ["rejected", "accepted"]
    assert [error["field"] for error in found["results"][0]["errors"]] == ["recommendation_id"]


def test_an_event_may_name_an_answer_that_nobody_knows(shared: Service) -> None:
    event = {"user_id": "u", "item_id": "a", "recommendation_id": str(uuid.uuid4())}
    assert shared.client.post("/events", json=event).json()["accepted"] == 1
