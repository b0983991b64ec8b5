"""ETags of items, and writes and reads on condition."""

from datetime import UTC, datetime

import pytest

from app.api.etag import is_unchanged, strong_tags
from app.core.http_errors import PreconditionFailed
from app.items.preconditions import Precondition, revision_of
from tests.app.api.test_problems import problem_of
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)


def tag(service: Service, item_id: str = "a") -> str:
    return str(service.client.get(f"/items/{item_id}").headers["etag"])


def test_every_answer_with_an_item_has_its_tag(light: Service) -> None:
    created = light.client.put("/items/a", json={"title": "x"})
    assert created.headers["etag"] == tag(light)
    changed = light.client.patch("/items/a", json={"title": "y"})
    assert changed.headers["etag"] == tag(light) != created.headers["etag"]
    posted = light.client.post("/items", data={"item": '{"item_id": "b"}'}, files={"text": b"hello"})
    assert posted.headers["etag"] == tag(light, "b")


def test_a_tag_changes_with_the_state_and_its_revision_does_not(light: Service) -> None:
    put_item(light, "a", "x")
    before = tag(light)
    light.run_jobs()
    after = tag(light)
    assert before != after
    assert before.partition(".")[0] == after.partition(".")[0]
    assert light.client.patch("/items/a", json={"title": "y"}, headers={"If-Match": before}).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_only_who_knows_the_newest_may_change_it(light: Service, method: str) -> None:
    put_item(light, "a", "x")
    known = tag(light)
    put_item(light, "a", "somebody else's")
    body = None if method == "DELETE" else {"title": "mine"}
    stale = light.client.request(method, "/items/a", json=body, headers={"If-Match": known})
    problem_of(stale, 412, "precondition-failed")
    assert light.client.get("/items/a").json()["title"] == "somebody else's"
    weak = light.client.request(method, "/items/a", json=body, headers={"If-Match": f"W/{tag(light)}"})
    problem_of(weak, 412, "precondition-failed")
    fresh = light.client.request(method, "/items/a", json=body, headers={"If-Match": f'"other", {tag(light)}'})
    assert fresh.is_success


def test_any_item_will_do(light: Service) -> None:
    problem_of(light.client.put("/items/a", json={}, headers={"If-Match": "*"}), 412, "precondition-failed")
    assert light.client.get("/items/a").status_code == 404
    put_item(light, "a", "x")
    assert light.client.put("/items/a", json={}, headers={"If-Match": "*"}).status_code == 200


def test_create_only(light: Service) -> None:
    new = {"If-None-Match": "*"}
    assert light.client.put("/items/a", json={"title": "first"}, headers=new).status_code == 201
    problem_of(light.client.put("/items/a", json={"title": "second"}, headers=new), 412, "precondition-failed")
    assert light.client.get("/items/a").json()["title"] == "first"
    light.client.delete("/items/a")
    assert light.client.put("/items/a", json={"title": "third"}, headers=new).status_code == 201


def test_what_has_not_changed_is_not_sent_again(light: Service) -> None:
    put_item(light, "a", "x")
    answer = light.client.get("/items/a", headers={"If-None-Match": tag(light)})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == tag(light)
    assert light.client.get("/items/a", headers={"If-None-Match": '"other"'}).status_code == 200


def test_tags_of_headers() -> None:
    assert strong_tags('"a", W/"b",  "c"') == ('"a"', '"c"')
    assert strong_tags(" * ") == ("*",)
    assert strong_tags("nonsense") == ()
    assert is_unchanged('W/"a"', '"a"')
    assert is_unchanged("*", '"a"')
    assert not is_unchanged(None, '"a"')


def test_conditions_by_themselves() -> None:
    seen = f'"{revision_of(NOW)}.0123"'
    Precondition(if_match=(seen,)).check(NOW)
    Precondition(must_be_new=True).check(None)
    for condition, updated_at in (
        (Precondition(if_match=(seen,)), LATER),
        (Precondition(if_match=(seen,)), None),
        (Precondition(if_match=()), NOW),
        (Precondition(must_be_new=True), NOW),
    ):
        with pytest.raises(PreconditionFailed):
            condition.check(updated_at)
