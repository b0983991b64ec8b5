"""Scenarios: kept, listed, taken up at once, and overridden by what a request says itself."""

from typing import Any

import pytest

from app.core.types import Scope
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of, put_item


def put(service: Service, name: str, **options: Any) -> int:
    answer = service.client.put(f"/admin/scenarios/{name}", json={"description": "d", "options": options})
    assert answer.status_code in (200, 201), answer.text
    assert answer.json()["options"] == options
    return int(answer.status_code)


def shown(service: Service, **query: Any) -> list[str]:
    answer = service.client.get("/recommend/nobody", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scenario"] == query.get("scenario")
    return [item["item_id"] for item in answer.json()["items"]]


def test_a_request_goes_before_its_scenario(light: Service) -> None:
    for name in "abcde":
        put_item(light, name, name, categories=["x" if name < "d" else "y"])
    assert shown(light) == ["e", "d", "c", "b", "a"]
    assert put(light, "home", limit=2, categories=["x"], pinned={"e": 1}) == 201
    assert shown(light, scenario="home") == ["e", "c"]
    assert shown(light, scenario="home", limit=3) == ["e", "c", "b"]
    assert shown(light, scenario="home", categories="y") == ["e", "d"]
    assert put(light, "home", exclude=["e"]) == 200
    assert shown(light, scenario="home") == ["d", "c", "b", "a"], "a scenario is replaced as a whole"
    assert light.client.delete("/admin/scenarios/home").status_code == 204
    gone = light.client.get("/recommend/nobody", params={"scenario": "home"})
    assert (gone.status_code, gone.json()["scenario"]) == (404, "home")


def test_null_takes_an_option_of_the_scenario_back(light: Service) -> None:
    put_item(light, "a", "a", categories=["x"])
    put_item(light, "b", "b", categories=["y"])
    put(light, "home", categories=["x"])
    for body, expected in (({}, ["a"]), ({"categories": None}, ["b", "a"])):
        answer = light.client.post("/recommend", json={"user_id": "u", "scenario": "home", **body}).json()
        assert [item["item_id"] for item in answer["items"]] == expected


def test_scenarios_are_listed_page_by_page(light: Service) -> None:
    names = ["a", "b b", "c", "ü"]
    for name in reversed(names):
        put(light, name, limit=3)
    found, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = light.client.get("/admin/scenarios", params=params).json()
        found += [one["name"] for one in page["scenarios"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == names
    one = light.client.get("/admin/scenarios/b b").json()
    assert (one["description"], one["options"]) == ("d", {"limit": 3})
    for method in ("GET", "DELETE"):
        answer = light.client.request(method, "/admin/scenarios/nowhere")
        assert (answer.status_code, answer.json()["title"]) == (404, "Scenario not found")


def test_projects_have_their_own(light: Service) -> None:
    put(light, "home", limit=1)
    other = client_of(light, "other")
    assert other.get("/admin/scenarios").json()["scenarios"] == []
    assert other.get("/admin/scenarios/home").status_code == 404
    assert other.delete("/admin/scenarios/home").status_code == 404
    assert other.get("/recommend/u", params={"scenario": "home"}).status_code == 404
    assert light.client.get("/admin/scenarios/home").status_code == 200


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "options.limit"),
        ({"filter": "price <"}, "filter"),
        ({"user_id": "u"}, "options.user_id"),
        ({"pinned": {"a": 1, "b": 1}}, "options.pinned"),
    ],
)
def test_what_is_wrong_is_named(shared: Service, options: dict[str, Any], field: str) -> None:
    answer = shared.client.put("/admin/scenarios/home", json={"options": options})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert shared.client.get("/admin/scenarios/home").status_code == 404


def test_only_administrators_may(shared: Service) -> None:
    headers = shared.headers(Scope.RECOMMEND, Scope.INGEST)
    for method, path in (("GET", ""), ("GET", "/a"), ("PUT", "/a"), ("DELETE", "/a")):
        answer = shared.client.request(method, f"/admin/scenarios{path}", json={}, headers=headers)
        assert answer.status_code == 403


def test_there_is_a_limit(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.scenarios.service.MAX_SCENARIOS", 2)
    put(light, "a")
    put(light, "b")
    assert put(light, "b", limit=1) == 200
    answer = light.client.put("/admin/scenarios/c", json={})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")
