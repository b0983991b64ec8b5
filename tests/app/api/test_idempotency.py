"""A write that is sent again with its `Idempotency-Key` is answered again, and done once."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text, update

from app.api.idempotency import IdempotentCall
from app.db.tables import ApiKeyRow, IdempotentRequestRow, JobRow
from app.projects.idempotency import IdempotencyRepository, forget_expired
from tests.app.api.test_problems import problem_of
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of, put_item

KEY = {"Idempotency-Key": "order-1001"}


def count(service: Service, table: Any) -> int:
    with service.context.database.transaction() as transaction:
        return transaction.session.scalar(select(func.count()).select_from(table)) or 0


def order(service: Service, *, headers: dict[str, str] = KEY, **body: Any) -> Any:
    return service.client.post("/admin/trainings", json=body, headers=headers)


def test_a_repeated_request_is_answered_again_and_done_once(light: Service) -> None:
    first = order(light)
    again = order(light)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert count(light, JobRow) == 1
    assert order(light, headers={}).json()["id"] != first.json()["id"]


def test_v1_and_the_bare_path_are_one_request(light: Service) -> None:
    first = order(light)
    again = light.client.post("/v1/admin/trainings", json={}, headers=KEY)
    assert again.json()["id"] == first.json()["id"]


def test_another_request_with_the_key_is_refused(light: Service) -> None:
    put_item(light, "a", "x")
    order(light)
    for answer in (
        order(light, method="id"),
        light.client.patch("/items/a", json={}, headers=KEY),
        light.client.post("/admin/trainings?x=1", json={}, headers=KEY),
    ):
        assert answer.status_code == 422
    problem_of(order(light, method="id"), 422, "idempotency-mismatch")


def test_projects_do_not_share_keys(light: Service) -> None:
    first = order(light)
    other = client_of(light, "other").post("/admin/trainings", json={"method": "id"}, headers=KEY)
    assert other.status_code == 202
    assert other.json()["id"] != first.json()["id"]


def test_a_key_without_the_scope_gets_no_replay(light: Service) -> None:
    order(light)
    poor = {**light.headers(*["recommend"]), **KEY}  # type: ignore[list-item]
    problem_of(light.client.post("/admin/trainings", json={}, headers=poor), 403, "scope-missing")


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "ä".encode("latin-1")])
def test_keys_that_are_none(light: Service, key: str | bytes) -> None:
    answer = light.client.post("/admin/trainings", json={}, headers={"Idempotency-Key": key})
    problem_of(answer, 422, "invalid-request")


def test_what_came_to_nothing_may_be_tried_again_otherwise(light: Service) -> None:
    problem_of(light.client.patch("/items/a", json={"title": "y"}, headers=KEY), 404, "item-not-found")
    put_item(light, "a", "x")
    assert light.client.patch("/items/a", json={"title": "z"}, headers=KEY).json()["title"] == "z"


def test_a_delete_is_not_a_404_the_second_time(light: Service) -> None:
    put_item(light, "a", "x")
    assert [light.client.delete("/items/a", headers=KEY).status_code for _ in range(2)] == [204, 204]
    assert light.client.delete("/items/a").status_code == 404


def test_a_secret_is_not_kept(light: Service) -> None:
    new = {"name": "n", "scopes": ["recommend"]}
    first = light.client.post("/admin/keys", json=new, headers=KEY)
    assert first.headers["cache-control"] == "no-store"
    keys = count(light, ApiKeyRow)
    problem_of(light.client.post("/admin/keys", json=new, headers=KEY), 409, "idempotency-answer-gone")
    assert count(light, ApiKeyRow) == keys
    with light.context.database.transaction() as transaction:
        rows = transaction.session.scalars(text("SELECT r::text FROM idempotent_requests r")).all()
    assert first.json()["key"] not in str(rows)


def test_uploads_are_told_apart_by_their_length(light: Service) -> None:
    put_item(light, "a", "x")
    send = {"headers": {**KEY, "content-type": "text/plain"}}
    path = "/items/a/media/text"
    first = light.client.post(path, content=b"one", **send)
    assert first.status_code == 202
    assert light.client.post(path, content=b"two", **send).headers["idempotent-replayed"] == "true"
    problem_of(light.client.post(path, content=b"three", **send), 422, "idempotency-mismatch")


def test_streams_take_no_key(light: Service) -> None:
    headers = {**KEY, "content-type": "application/x-ndjson"}
    problem_of(light.client.post("/items:batch", content=b"{}\n", headers=headers), 422, "invalid-request")


def test_a_large_body_is_refused_as_without_a_key(light: Service) -> None:
    body = b" " * (light.settings.json_body_limit_bytes + 1)
    headers = {**KEY, "content-type": "application/json"}
    problem_of(light.client.post("/events", content=body, headers=headers), 413, "payload-too-large")
    chunked = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    problem_of(light.client.post("/events", content=chunked, headers=headers), 413, "payload-too-large")


def age(service: Service, seconds: float) -> None:
    with service.context.database.transaction() as transaction:
        earlier = IdempotentRequestRow.started_at - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        transaction.session.execute(update(IdempotentRequestRow).values(started_at=earlier))


def lose_answer(service: Service) -> None:
    """As if the process had died after its transaction and before the answer was written down."""
    with service.context.database.transaction() as transaction:
        transaction.session.execute(update(IdempotentRequestRow).values(status=None, headers=None, body=None))


def test_while_the_first_runs_the_second_shall_wait(light: Service) -> None:
    order(light)
    lose_answer(light)
    answer = order(light)
    problem_of(answer, 409, "idempotency-conflict")
    assert int(answer.headers["retry-after"]) >= 1


def test_after_a_crash_nothing_is_done_twice(light: Service) -> None:
    order(light)
    lose_answer(light)
    age(light, 1_000)
    problem_of(order(light), 409, "idempotency-answer-gone")
    assert count(light, JobRow) == 1


def test_after_a_crash_without_effect_it_is_done(light: Service) -> None:
    order(light)
    lose_answer(light)
    with light.context.database.transaction() as transaction:
        transaction.session.execute(update(IdempotentRequestRow).values(effect_at=None))
    age(light, 1_000)
    assert order(light).status_code == 202
    assert count(light, JobRow) == 2


def test_whoever_has_lost_the_claim_cannot_commit(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another attempt takes over between the claim and the commit of the first one."""
    mark = IdempotencyRepository.mark

    def take_over_and_mark(self: IdempotencyRepository, claim: Any) -> bool:
        with light.context.database.transaction() as transaction:
            taken = update(IdempotentRequestRow).values(attempt=func.gen_random_uuid())
            transaction.session.execute(taken)
        return mark(self, claim)

    monkeypatch.setattr(IdempotencyRepository, "mark", take_over_and_mark)
    problem_of(order(light), 409, "idempotency-conflict")
    assert count(light, JobRow) == 0


def test_a_bug_frees_the_key(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(light.client.app, raise_server_exceptions=False, headers=dict(light.client.headers))
    client.portal = light.client.portal
    with monkeypatch.context() as patched:
        patched.setattr("app.training.service.TrainingService.create", lambda *_: 1 / 0)
        problem_of(client.post("/admin/trainings", json={}, headers=KEY), 500, "internal-error")
    assert order(light).status_code == 202


def test_they_are_forgotten_after_a_day(light: Service) -> None:
    first = order(light)
    age(light, light.settings.idempotency_s + 1)
    assert order(light).json()["id"] != first.json()["id"]
    age(light, light.settings.idempotency_s + 1)
    with light.context.database.transaction() as transaction:
        forget_expired(transaction, keep_s=light.settings.idempotency_s)
    assert count(light, IdempotentRequestRow) == 0


def test_without_a_key_nothing_is_kept(light: Service) -> None:
    order(light, headers={})
    assert count(light, IdempotentRequestRow) == 0
    assert IdempotentCall.__doc__
