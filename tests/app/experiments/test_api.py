from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from app.core.types import Scope
from app.db.tables import ModelVersionRow
from app.experiments.repository import running
from app.experiments.service import MAX_RUNNING
from app.stores.changes import CHANNEL
from tests.app.experiments.answers import add_version
from tests.fixtures.service import Service

PATH = "/admin/experiments"


def order(**changes: Any) -> dict[str, Any]:
    arms = [{"name": "old", "share": 0.5, "version": "v1"}, {"name": "new", "share": 0.5, "version": "v2"}]
    return {"name": str(uuid4()), "arms": arms, "metric": {"types": ["click"], "window_s": 3600.0}, **changes}


@pytest.fixture
def service(shared: Service) -> Iterator[Service]:
    """With two versions; whatever runs is stopped afterwards."""
    add_version(shared, 1)
    add_version(shared, 2)
    yield shared
    with shared.context.database.transaction() as transaction:
        left = running(transaction.session, shared.project)
    for one in left:
        assert shared.client.post(f"{PATH}/{one.id}/stop").status_code == 200


def create(service: Service, **changes: Any) -> dict[str, Any]:
    answer = service.client.post(PATH, json=order(**changes))
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    assert answer.headers["location"].endswith(f"{PATH}/{created['id']}")
    return created


def test_the_life_of_an_experiment(service: Service) -> None:
    made = create(service)
    assert (made["state"], made["kind"], made["started_at"]) == ("draft", "split", None)
    started = service.client.post(f"{PATH}/{made['id']}/start").json()
    assert started["state"] == "running"
    assert started["started_at"]
    again = service.client.post(f"{PATH}/{made['id']}/start")
    assert (again.status_code, again.json()) == (200, started)
    stopped = service.client.post(f"{PATH}/{made['id']}/stop").json()
    assert stopped["state"] == "stopped"
    assert service.client.post(f"{PATH}/{made['id']}/stop").json() == stopped
    assert service.client.post(f"{PATH}/{made['id']}/start").status_code == 409
    assert service.client.delete(f"{PATH}/{made['id']}").status_code == 204
    assert service.client.get(f"{PATH}/{made['id']}").status_code == 404


def test_what_runs_is_what_was_ordered(service: Service) -> None:
    made = create(service)
    service.client.post(f"{PATH}/{made['id']}/start")
    create(service)
    with service.context.database.transaction() as transaction:
        (found,) = running(transaction.session, service.project)
    assert (found.id, found.interleaved) == (made["id"], False)
    assert [(arm.name, arm.share, arm.version, arm.scenario) for arm in found.arms] == [
        ("old", 0.5, "v1", None),
        ("new", 0.5, "v2", None),
    ]
    assert len(found.salt) == 32


def test_start_and_stop_are_announced(service: Service) -> None:
    made = create(service)
    with service.context.redis.pubsub(ignore_subscribe_messages=True) as feed:
        feed.subscribe(CHANNEL)
        feed.get_message(timeout=5)
        for verb in ("start", "stop"):
            service.client.post(f"{PATH}/{made['id']}/{verb}")
            message = feed.get_message(timeout=5)
            assert message is not None
            assert int(message["data"]) == service.project


def test_one_that_has_not_begun_cannot_be_stopped_and_one_that_runs_cannot_be_deleted(service: Service) -> None:
    made = create(service)
    assert service.client.post(f"{PATH}/{made['id']}/stop").status_code == 409
    service.client.post(f"{PATH}/{made['id']}/start")
    refused = service.client.delete(f"{PATH}/{made['id']}")
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("experiment-conflict")


def test_the_same_request_again_finds_the_same_experiment(service: Service) -> None:
    ordered = order()
    first = service.client.post(PATH, json=ordered)
    second = service.client.post(PATH, json=ordered)
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    other = service.client.post(PATH, json={**ordered, "metric": {"types": ["view"]}})
    assert other.status_code == 409


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"arms": [{"name": "a", "share": 0.6}, {"name": "b", "share": 0.6}]}, "more than 1"),
        ({"arms": [{"name": "a", "share": 0.5}, {"name": "a", "share": 0.5}]}, "same name"),
        ({"arms": [{"name": "a", "share": 1}]}, "arms"),
        ({"arms": [{"name": "personal", "share": 0.5}, {"name": "a", "share": 0.5}]}, "cannot be called"),
        ({"arms": [{"name": "a", "share": 0}, {"name": "b", "share": 0.5}]}, "share"),
        ({"arms": [{"name": n, "share": 0.2} for n in "abc"], "kind": "interleaving"}, "exactly 2"),
        ({"arms": [{"name": "a", "share": 0.5, "version": "v99"}, {"name": "b", "share": 0.5}]}, "arms.0.version"),
        ({"arms": [{"name": "a", "share": 0.5, "version": "w1"}, {"name": "b", "share": 0.5}]}, "version"),
        ({"arms": [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5, "scenario": "no"}]}, "arms.1.scenario"),
        ({"metric": {"types": []}}, "types"),
        ({"metric": {"types": ["click"], "window_s": 1e12}}, "window_s"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_makes_no_sense_is_refused(service: Service, changes: dict[str, Any], named: str) -> None:
    answer = service.client.post(PATH, json=order(**changes))
    assert answer.status_code == 422
    assert named in answer.text


def test_tenths_that_add_up_to_one_but_for_rounding_are_taken(service: Service) -> None:
    create(service, arms=[{"name": f"a{n}", "share": 0.1} for n in range(10)])


def test_a_version_that_is_archived_by_now_keeps_a_draft_from_starting(service: Service) -> None:
    number = 77
    pk = add_version(service, number)
    made = create(service, arms=[{"name": "a", "share": 0.5, "version": f"v{number}"}, {"name": "b", "share": 0.5}])
    with service.context.database.transaction() as transaction:
        archived = update(ModelVersionRow).where(ModelVersionRow.id == pk).values(archived_at=datetime.now(UTC))
        transaction.session.execute(archived)
    refused = service.client.post(f"{PATH}/{made['id']}/start")
    assert refused.status_code == 422
    assert "arms.0.version" in refused.text


def test_only_so_many_run_at_a_time(service: Service) -> None:
    for _ in range(MAX_RUNNING):
        made = create(service)
        assert service.client.post(f"{PATH}/{made['id']}/start").status_code == 200
    one_more = create(service)
    assert service.client.post(f"{PATH}/{one_more['id']}/start").status_code == 409


def test_pages_go_from_the_newest_to_the_oldest(service: Service) -> None:
    made = [create(service)["id"] for _ in range(3)]
    first = service.client.get(PATH, params={"limit": 2}).json()
    second = service.client.get(PATH, params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["experiments"] + second["experiments"]] == made[::-1]


def test_another_project_sees_nothing_of_it(service: Service) -> None:
    made = create(service)
    other = service.project_client("other")
    assert other.get(PATH).json()["experiments"] == []
    for verb, path in (("GET", ""), ("POST", "/start"), ("POST", "/stop"), ("DELETE", "")):
        assert other.request(verb, f"{PATH}/{made['id']}{path}").status_code == 404


def test_it_takes_an_admin(service: Service) -> None:
    answer = service.client.get(PATH, headers=service.headers(Scope.RECOMMEND, Scope.INGEST))
    assert answer.status_code == 403
