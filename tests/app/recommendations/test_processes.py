"""More than one API process: each learns of what another one did, by announcement or by polling."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from app.core.config import Settings
from app.db.tables import ItemRow
from app.main import create_app
from app.recommendations.state import ProjectState, TrendingPolicy
from app.stores.changes import CHANNEL
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item

NEVER_S = 1_000.0
SOON_S = 0.1


@contextmanager
def another_process(service: Service, **changes: Any) -> Iterator[TestClient]:
    settings = service.settings.model_copy(update=changes)
    with TestClient(create_app(settings), headers={"Authorization": f"Bearer {service.key}"}) as client:
        yield client


def shown(client: TestClient) -> dict[str, str]:
    answer = client.get("/recommend/u0?limit=1000&exclude_seen=false").json()
    return {item["item_id"]: item["title"] for item in answer["items"]}


def version(client: TestClient) -> str | None:
    name: str | None = client.get("/recommend/u0").json()["model_version"]
    return name


def eventually(found: Callable[[], Any], wanted: Any, *, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while (last := found()) != wanted:
        assert time.monotonic() < deadline, f"{last!r} is not {wanted!r}"
        time.sleep(0.02)


def mute(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose every announcement."""
    monkeypatch.setattr("app.stores.changes.RedisChangeFeed.announce", lambda self, project: None)


@pytest.mark.parametrize("is_muted", [False, True])
def test_another_process_sees_items_and_promotions(
    trained: Service, monkeypatch: pytest.MonkeyPatch, is_muted: bool
) -> None:
    poll_s = SOON_S if is_muted else NEVER_S
    with another_process(trained, catalogue_poll_s=poll_s) as other:
        assert version(other) == "v1"
        if is_muted:
            mute(trained, monkeypatch)
        put_item(trained, "new", "harbour boat")
        trained.run_jobs()
        eventually(lambda: shown(other).get("new"), "harbour boat")
        trained.client.patch("/items/new", json={"title": "renamed"})
        eventually(lambda: shown(other).get("new"), "renamed")
        trained.client.delete("/items/new")
        eventually(lambda: shown(other).get("new"), None)
        trained.train(promote="always")
        eventually(lambda: version(other), "v2")
        trained.client.post("/admin/models/v1/promote")
        eventually(lambda: version(other), "v1")


def test_a_listener_that_lost_its_connection_listens_again(trained: Service, redis_url: str) -> None:
    with another_process(trained, catalogue_poll_s=NEVER_S) as other, Redis.from_url(redis_url) as redis:
        shown(other)
        assert redis.client_kill_filter(_type="pubsub")
        eventually(lambda: dict(redis.pubsub_numsub(CHANNEL))[CHANNEL.encode()], 2)  # type: ignore[arg-type]
        put_item(trained, "new", "x")
        trained.run_jobs()
        eventually(lambda: "new" in shown(other), True)


def test_a_foreign_message_on_the_channel_does_not_deafen(trained: Service, redis_url: str) -> None:
    with another_process(trained, catalogue_poll_s=NEVER_S) as other, Redis.from_url(redis_url) as redis:
        shown(other)
        redis.publish(CHANNEL, "hello")
        redis.publish(CHANNEL, b"\xff")
        redis.publish(CHANNEL, "999")
        time.sleep(0.1)
        put_item(trained, "new", "x")
        trained.run_jobs()
        eventually(lambda: "new" in shown(other), True)


def test_polling_survives_a_database_that_was_away(
    trained: Service, trained_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    with another_process(trained, catalogue_poll_s=SOON_S) as other:
        shown(other)
        mute(trained, monkeypatch)
        look = ProjectState.look
        troubles = iter([OperationalError("", {}, Exception("away")), PoolTimeout("no connection is free")])

        def stumble(state: ProjectState) -> Any:
            trouble = next(troubles, None)
            if trouble:
                raise trouble
            return look(state)

        monkeypatch.setattr(ProjectState, "look", stumble)
        put_item_quietly(trained, "new")
        eventually(lambda: "new" in shown(other), True)


def put_item_quietly(service: Service, item_id: str) -> None:
    """Straight into the database, so that only polling can tell of it: an item by another's vector."""
    with service.context.database.transaction() as transaction:
        connection = transaction.session.connection()
        transaction.session.add(ItemRow(project_id=service.project, item_id=item_id, title=item_id))
        transaction.session.flush()
        connection.exec_driver_sql(
            "INSERT INTO item_vectors (version_id, item_pk, vector, shares, content_key) "
            "SELECT v.version_id, i.id, v.vector, v.shares, '' FROM item_vectors v, items i "
            "WHERE i.item_id = %s LIMIT 1",
            (item_id,),
        )


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(trained: Service, damage: str) -> None:
    trained.train(promote="never")
    (second, _) = trained.client.get("/admin/trainings").json()["trainings"]
    folder = trained.parts.artifacts.path(f"{trained.project}/{second['id']}")
    if damage == "missing":
        shutil.rmtree(folder)
    else:
        (folder / "user_encoder.onnx").write_bytes(b"\0" * 100)
    before = shown(trained.client)
    assert trained.client.post("/admin/models/v2/promote").status_code == 200
    answer = trained.client.get("/recommend/u0").json()
    assert (answer["model_version"], answer["personalised"]) == ("v1", True)
    assert shown(trained.client) == before
    (gone, *_) = before
    trained.client.delete(f"/items/{gone}")
    assert gone not in shown(trained.client), "what is deleted goes all the same"
    with another_process(trained) as fresh:
        assert fresh.get("/recommend/u0").status_code == 200
    trained.client.post("/admin/models/v1/promote")
    assert trained.client.get("/recommend/u0").json()["model_version"] == "v1"


def look_at(service: Service, state: ProjectState) -> set[str]:
    state.accept(state.look())
    return set(state.catalogue.ids)


@pytest.fixture
def state(light: Service) -> ProjectState:
    policy = TrendingPolicy(half_life_s=1.0, window_events=10, refresh_s=0.0)
    context = light.context
    return ProjectState(light.project, database=context.database, artifacts=context.artifacts, trending=policy)


def test_a_transaction_that_began_first_and_commits_last_is_not_missed(light: Service, state: ProjectState) -> None:
    database = light.context.database
    with database.transaction() as slow:
        slow.session.add(ItemRow(project_id=light.project, item_id="slow"))
        slow.session.flush()
        put_item(light, "quick", "x")
        assert look_at(light, state) == {"quick"}
        put_item(light, "quick too", "x")
        assert look_at(light, state) == {"quick", "quick too"}
    assert look_at(light, state) == {"quick", "quick too", "slow"}


def test_a_look_reads_only_what_has_changed(light: Service, state: ProjectState) -> None:
    for number in range(5):
        put_item(light, f"i{number}", "x")
    assert {update.item_id for update in state.look().updates} == {f"i{number}" for number in range(5)}
    look_at(light, state)
    put_item(light, "i3", "y")
    # Other transactions of the same server, autovacuum's too, may make a look begin a little earlier.
    eventually(lambda: {update.item_id for update in state.look().updates}, {"i3"})
    eventually(lambda: news(state), ["i3"])
    eventually(lambda: news(state), [])


def news(state: ProjectState) -> list[str]:
    found = state.look()
    state.accept(found)
    return [update.item_id for update in found.updates]


def test_the_first_requests_of_a_process_share_one_look(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    put_item(light, "a", "x")
    looks: list[int] = []
    look = ProjectState.look

    def slow_look(state: ProjectState) -> Any:
        looks.append(1)
        time.sleep(0.3)
        return look(state)

    monkeypatch.setattr(ProjectState, "look", slow_look)
    with another_process(light, catalogue_poll_s=NEVER_S) as other:
        answers: list[int] = []
        ask = lambda: answers.append(len(other.get("/recommend/u").json()["items"]))  # noqa: E731
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [1] * 6
    assert len(looks) < 6
