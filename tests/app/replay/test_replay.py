"""Answers computed again, after everything that they were made from has changed."""

import uuid
from typing import Any

import pytest
from sqlalchemy import select

from app.db.tables import ModelVersionRow
from app.replay.origin import open_version
from tests.fixtures.service import Service
from tests.fixtures.trained import START_S, client_of, put_item

ITEMS = [f"i{n}" for n in range(20)]


@pytest.fixture
def service(trained: Service) -> Service:
    """The trained service with attributes, categories and a time of publication for every item."""
    for number, item in enumerate(ITEMS):
        fields: dict[str, Any] = {
            "categories": ["sea" if number % 3 else "night"],
            "attributes": {"price": number},
            "published_at": f"2026-0{1 + number % 9}-01T00:00:00Z",
        }
        answer = trained.client.patch(f"/items/{item}", json=fields)
        assert answer.status_code == 200, answer.text
    return trained


def recommend(service: Service, **request: Any) -> dict[str, Any]:
    answer = service.client.post("/recommend", json=request)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def replay(service: Service, answer: dict[str, Any], status: int = 200) -> dict[str, Any]:
    found = service.client.get(f"/admin/answers/{answer['recommendation_id']}/replay")
    assert found.status_code == status, found.text
    parsed: dict[str, Any] = found.json()
    return parsed


def change_everything(service: Service) -> None:
    """Every item is dearer, elsewhere or gone; all users have done more; another version is live; items have come."""
    # What trains here copies the vectors of all items, so it does so before one is deleted.
    assert service.train(promote="always", hyperparameters={"epochs": 1})["state"] == "succeeded"
    for number, item in enumerate(ITEMS):
        change: dict[str, Any] = {"attributes": {"price": 1_000}, "categories": ["elsewhere"]}
        change |= {"available": False} if number % 4 == 1 else {"title": f"changed {number}"}
        assert service.client.patch(f"/items/{item}", json=change).status_code == 200
    assert service.client.delete("/items/i2").status_code == 204
    put_item(service, "new", "harbour boat new")
    events = [
        {"user_id": user, "item_id": item, "timestamp": START_S + 100 + n}
        for user in ("u0", "u1", "nobody")
        for n, item in enumerate(["i9", "i3", "new"])
    ]
    assert service.client.post("/events", json=events).json()["accepted"] == 9
    models = service.client.get("/admin/models").json()["models"]
    assert models[0]["live"]
    assert models[-1]["version"] == "v1"


def ids(items: list[dict[str, Any]]) -> list[str]:
    return [item["item_id"] for item in items]


REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"user_id": "u0"},
    "seen too": {"user_id": "u0", "exclude_seen": False},
    "seen by type": {"user_id": "u0", "exclude_seen_types": ["like"], "exclude_seen_max_age_s": 1e9},
    "filtered": {"user_id": "u1", "filter": "price > 4 and not price = 7", "categories": ["sea"]},
    "chosen": {"user_id": "u1", "include": ITEMS[:12], "exclude": ["i3"]},
    "all rules": {
        "user_id": "u1",
        "limit": 8,
        "diversity": 0.4,
        "freshness_weight": 2.0,
        "category_cap": 5,
        "category_caps": {"night": 2},
        "pinned": {"i8": 3},
        "explore": 0.5,
        "explore_pool": 12,
    },
    "session": {"session": ["i1", {"item_id": "i4", "type": "like", "timestamp": START_S}]},
    "cold": {"user_id": "nobody", "limit": 7},
    "cold and filtered": {"user_id": "nobody", "filter": "price > 9", "freshness_weight": 1.0, "diversity": 0.5},
    "cold session": {"session": ["nothing known"], "limit": 3},
    "rotated": {"user_id": "u0", "limit": 4, "rotation_s": 3_600},
}


def test_everything_may_change_and_the_answers_are_the_same(service: Service) -> None:
    answers = {name: recommend(service, **request) for name, request in REQUESTS.items()}
    answers["rotated again"] = recommend(service, **REQUESTS["rotated"])
    assert ids(answers["rotated again"]["items"]) != ids(answers["rotated"]["items"])
    answers["next"] = recommend(service, cursor=answers["all rules"]["next_cursor"])
    answers["next of cold"] = recommend(service, cursor=answers["cold"]["next_cursor"], limit=5)
    change_everything(service)
    for name, answer in answers.items():
        found = replay(service, answer)
        assert found["identical"], (name, found["differences"], found["largest_score_difference"])
        assert ids(found["recomputed"]) == ids(answer["items"]), name
        assert found["differences"] == [], name
        assert found["history_exact"] == (None if "session" in name else True), name
        assert found["answer"]["model_version"] == "v1"
        for explanation, item in zip(found["explanations"], answer["items"], strict=True):
            assert (explanation["item_id"], explanation["rank"]) == (item["item_id"], item["rank"])
            assert explanation["title"] == item["title"]
            assert explanation["shares"] == (None if item["shares"] is None else pytest.approx(item["shares"]))
    again = recommend(service, user_id="u0")
    assert ids(again["items"]) != ids(answers["plain"]["items"]), "nothing has changed, so nothing was tested"


def test_an_interleaved_answer_is_the_same_after_its_scenario_has_changed(service: Service) -> None:
    assert service.train(promote="never", hyperparameters={"epochs": 1})["state"] == "succeeded"
    scenario = {"options": {"freshness_weight": 3.0}}
    assert service.client.put("/admin/scenarios/home", json=scenario).status_code in (200, 201)
    arms = [
        {"name": "plain", "share": 0.5, "version": "v1"},
        {"name": "fresh", "share": 0.5, "version": "v2", "scenario": "home"},
    ]
    experiment = {"name": "two", "kind": "interleaving", "metric": {"types": ["view"]}, "arms": arms}
    created = service.client.post("/admin/experiments", json=experiment)
    assert created.status_code == 201, created.text
    assert service.client.post(f"/admin/experiments/{created.json()['id']}/start").status_code == 200
    service.client.get("/recommend/u0")
    answer = recommend(service, user_id="u0", limit=8, pinned={"i8": 2})
    found = replay(service, answer)
    assert {"plain", "fresh"} <= {item["source"] for item in found["recomputed"]}
    assert service.client.put("/admin/scenarios/home", json={"options": {}}).status_code == 200
    change_everything(service)
    found = replay(service, answer)
    assert found["identical"], found["differences"]
    assert all(
        any(move["rule"] in ("interleaving", "freshness", "pinned") for move in one["moved_by"])
        for one in found["explanations"]
        if one["rank_by_score"] != one["rank"]
    )


def test_what_is_recorded_is_told(service: Service) -> None:
    answer = recommend(service, user_id="u0", limit=3, diversity=0.25)
    named = answer["recommendation_id"]
    assert service.client.post("/impressions", json={"recommendation_id": named, "shown": 2}).status_code == 200
    found = service.client.get(f"/admin/answers/{named}").json()
    assert found["options"] == {"limit": 3, "diversity": 0.25}
    assert found["history"]["count"] == 6
    assert (found["user_id"], found["model_version"], found["seen_ranks"]) == ("u0", "v1", [1, 2])
    assert [(one["item_id"], one["rank"], one["score"]) for one in found["items"]] == [
        (one["item_id"], one["rank"], one["score"]) for one in answer["items"]
    ]
    assert {one["source"] for one in found["items"]} == {"personal"}


def moves(explanation: dict[str, Any]) -> dict[str, int | None]:
    return {move["rule"]: move["rank_without"] for move in explanation["moved_by"]}


def test_each_rule_is_named_where_it_decides(service: Service) -> None:
    plain = ids(recommend(service, user_id="u0", limit=20)["items"])
    last = plain[-1]
    found = replay(service, recommend(service, user_id="u0", limit=3, pinned={last: 1}))
    first, second, _ = found["explanations"]
    assert first["item_id"] == last
    assert (moves(first), first["rank_by_score"]) == ({"pinned": None}, None)
    # What stands second by the pin would stand first without it.
    assert (moves(second), second["rank_by_score"]) == ({"pinned": 1}, 1)
    unmoved = replay(service, recommend(service, user_id="u0", limit=3))["explanations"]
    assert [(moves(one), one["rank_by_score"]) for one in unmoved] == [({}, rank) for rank in (1, 2, 3)]
    assert all(len(one["nearest"]) == 3 for one in unmoved)
    capped = replay(service, recommend(service, user_id="u0", limit=10, category_caps={"sea": 1}))["explanations"]
    by_score = [one["rank_by_score"] for one in capped]
    assert by_score == sorted(by_score)
    assert all(("cap" in moves(one)) == (one["rank"] != one["rank_by_score"]) for one in capped)


def test_rotation_and_exploration_are_named(service: Service) -> None:
    first = recommend(service, user_id="u0", limit=4, rotation_s=600)
    second = replay(service, recommend(service, user_id="u0", limit=4, rotation_s=600))
    assert not set(ids(first["items"])) & set(ids(second["recomputed"]))
    assert [moves(one) for one in second["explanations"]] == [{"rotation": None}] * 4
    explored = replay(service, recommend(service, user_id="u1", limit=6, explore=1.0, explore_pool=14))
    assert explored["identical"]
    assert any("exploration" in moves(one) for one in explored["explanations"])


def test_a_history_that_is_not_what_it_was_is_told(service: Service) -> None:
    answer = recommend(service, user_id="u0")
    with service.context.database.transaction() as transaction:
        transaction.session.connection().exec_driver_sql(
            "DELETE FROM events WHERE id = (SELECT max(id) FROM events WHERE user_id = 'u0')"
        )
    assert replay(service, answer)["history_exact"] is False


def test_what_is_gone_is_told(service: Service) -> None:
    answer = recommend(service, user_id="u0")
    assert replay(service, answer)["identical"]
    with service.context.database.transaction() as transaction:
        path = transaction.session.scalars(select(ModelVersionRow.artifact)).one()
    open_version.cache_clear()
    folder = service.context.artifacts.path(path)
    folder.rename(folder.with_name("away"))
    problem = replay(service, answer, 410)
    assert problem["type"].endswith("not-replayable")
    assert "v1" in problem["detail"]
    folder.with_name("away").rename(folder)
    with service.context.database.transaction() as transaction:
        connection = transaction.session.connection()
        connection.exec_driver_sql("UPDATE projects SET live_version_id = NULL")
        connection.exec_driver_sql("UPDATE model_versions SET deleted_at = now()")
    assert "deleted" in replay(service, answer, 410)["detail"]


def test_similar_items_cannot_be_computed_again(service: Service) -> None:
    answer = service.client.get("/similar/i1").json()
    assert replay(service, answer, 410)["type"].endswith("not-replayable")
    assert service.client.get(f"/admin/answers/{answer['recommendation_id']}").status_code == 200


def test_another_projects_answers_are_none(service: Service) -> None:
    answer = recommend(service, user_id="u0")
    client = client_of(service, "other")
    for path in (f"/admin/answers/{answer['recommendation_id']}", f"/admin/answers/{uuid.uuid4()}/replay"):
        assert client.get(path).status_code == 404
