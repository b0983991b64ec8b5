"""What an anonymous id did becomes the user's."""

from typing import Any

import pytest

from tests.app.users.test_users_api import T0, event, record_answer, send
from tests.fixtures.service import Service


def merge(service: Service, user: str, source: str) -> dict[str, Any]:
    answer = service.client.post(f"/users/{user}/merge", json={"from": source})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def history(service: Service, user: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = service.client.get(f"/users/{user}/history").json()["events"]
    return events


def test_events_move_and_keep_their_ids(light: Service) -> None:
    send(light, event("ada", "i1", T0), event("anon", "i2", T0 + 1), event("anon", "i3", T0 + 2, event_id="mine"))
    before = {one["item_id"]: one["event_id"] for one in history(light, "anon") + history(light, "ada")}
    merged = merge(light, "ada", "anon")
    assert (merged["moved_events"], merged["duplicates"]) == (2, 0)
    assert [one["item_id"] for one in history(light, "ada")] == ["i3", "i2", "i1"]
    assert {one["item_id"]: one["event_id"] for one in history(light, "ada")} == before
    assert light.client.get("/users/anon").status_code == 404


def test_what_both_did_counts_once(light: Service) -> None:
    send(light, event("ada", "i1"), event("ada", "i2"))
    send(light, event("anon", "i1"), event("anon", "i2", type="like"), event("anon", "i2", T0 + 1))
    merged = merge(light, "ada", "anon")
    assert (merged["moved_events"], merged["duplicates"]) == (2, 1)
    kept = [(one["item_id"], one["type"]) for one in history(light, "ada")]
    assert sorted(kept) == [("i1", "view"), ("i2", "like"), ("i2", "view"), ("i2", "view")]


def test_again_or_of_nobody_changes_nothing(light: Service) -> None:
    send(light, event("ada", "i1"), event("anon", "i2"))
    first = merge(light, "ada", "anon")
    second = merge(light, "ada", "anon")
    assert (second["moved_events"], second["duplicates"]) == (0, 0)
    assert second["user"] == first["user"]


def test_the_users_own_attributes_win(light: Service) -> None:
    light.client.put("/users/ada", json={"attributes": {"country": "NO", "age": 30}})
    light.client.put("/users/anon", json={"attributes": {"country": "SE", "device": "phone"}})
    assert merge(light, "ada", "anon")["user"]["attributes"] == {"country": "NO", "age": 30, "device": "phone"}
    assert light.client.get("/users/anon").status_code == 404


def test_attributes_that_are_too_many_together_move_nothing(light: Service) -> None:
    light.client.put("/users/ada", json={"attributes": {"a": "x" * 10_000}})
    light.client.put("/users/anon", json={"attributes": {"b": "x" * 10_000}})
    send(light, event("anon", "i1"))
    answer = light.client.post("/users/ada/merge", json={"from": "anon"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "from")
    assert len(history(light, "anon")) == 1


def test_nobody_is_merged_with_themselves(light: Service) -> None:
    send(light, event("ada", "i1"))
    assert light.client.post("/users/ada/merge", json={"from": "ada"}).status_code == 422


@pytest.mark.parametrize("warm", [(), ("ada",), ("anon",), ("ada", "anon")])
def test_recommendations_know_of_it_at_once(trained: Service, warm: tuple[str, ...]) -> None:
    send(trained, event("ada", "i1"), event("anon", "i3"))
    for user in warm:
        trained.client.get(f"/recommend/{user}")
    merge(trained, "ada", "anon")
    shown = trained.client.get("/recommend/ada", params={"limit": 1_000}).json()
    assert not {"i1", "i3"} & {item["item_id"] for item in shown["items"]}
    assert trained.client.get("/recommend/anon").json()["fallback"] is not None


def test_late_events_stay_with_the_anonymous_id_until_the_next_merge(light: Service) -> None:
    send(light, event("anon", "i1"))
    merge(light, "ada", "anon")
    send(light, event("anon", "i2", T0 + 1))
    assert [one["item_id"] for one in history(light, "ada")] == ["i1"]
    assert merge(light, "ada", "anon")["moved_events"] == 1
    assert [one["item_id"] for one in history(light, "ada")] == ["i2", "i1"]


def test_recorded_answers_move_too(light: Service) -> None:
    send(light, event("anon", "i1"))
    answer_id = record_answer(light, "anon")
    merge(light, "ada", "anon")
    export = light.client.get("/users/ada/export").json()
    assert [one["id"] for one in export["answers"]] == [str(answer_id)]
