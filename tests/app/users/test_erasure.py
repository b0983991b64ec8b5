"""An erased person is nowhere: not in the database, not in the cache, not in what is trained from then on."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import create_engine, text

from app.api.routes import users
from app.core.cursor import MAX_NUMBER
from app.core.errors import UserNotFound
from app.db.base import Base
from app.db.tables import EventRow
from app.events.service import EventService
from app.jobs.run import JobInterrupted
from app.jobs.service import SweepPolicy, sweep_jobs
from app.stores.sequence_cache import MARK_S, RedisSequenceWriter
from app.users.erasure import ErasureService
from app.users.erasures import ErasureRepository
from app.users.holdings import personal_tables
from tests.app.users.test_users_api import event, record_answer, send
from tests.fixtures.service import Service
from tests.fixtures.trained import EVENTS_A_USER, USERS, ReplayTrainer, client_of

PERSON = "person-5f1c7e9a"


@pytest.fixture(autouse=True)
def _no_pause(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes answers down late, but for the test of just that."""
    if "late" not in request.node.name:
        monkeypatch.setattr(users, "LATE_ANSWERS", 0)


def erase(service: Service, user: str = PERSON) -> dict[str, Any]:
    answer = service.client.delete(f"/users/{user}")
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def everything_stored(url: str) -> Iterator[tuple[str, str]]:
    """Every row of every table as text."""
    engine = create_engine(url)
    with engine.connect() as connection:
        for table in Base.metadata.tables:
            for (row,) in connection.execute(text(f"SELECT to_jsonb(t)::text FROM {table} t")):
                yield table, row
    engine.dispose()


def places_of(service: Service, word: str) -> set[str]:
    url = service.settings.database_url
    assert url is not None
    return {table for table, row in everything_stored(url) if word in row}


def keys_of(service: Service, word: str) -> dict[str, int]:
    """Keys that name it, with the seconds that they have left."""
    with Redis.from_url(service.settings.redis) as redis:
        return {key.decode(): redis.ttl(key) for key in redis.keys("*") if word in key.decode()}


def live(service: Service, user: str = PERSON) -> None:
    """Everything that a person can leave behind."""
    send(service, event(user, "i1"), event(user, "i2", type="like"), event(user, "i3"))
    service.client.put(f"/users/{user}", json={"attributes": {"country": "NO"}})
    service.client.get(f"/recommend/{user}")
    record_answer(service, user)


def test_the_person_is_nowhere(trained: Service) -> None:
    live(trained)
    assert {"users", "events", "answers"} <= places_of(trained, PERSON)
    assert keys_of(trained, PERSON)
    report = erase(trained)
    removed = report["removed"]
    assert (removed["users"], removed["events"]) == (1, 3)
    assert removed["answers"] >= 1
    assert removed["cache_keys"] >= 1
    assert set(removed) == {table.name for table in personal_tables()} | {"cache_keys", "idempotent_requests"}
    assert places_of(trained, PERSON) == set()
    # What is left in the cache is without content, and guards against late writers for a minute.
    assert {key.rpartition(":")[2] for key in keys_of(trained, PERSON)} <= {"mark", "forgotten"}
    assert all(0 < left <= 2 * MARK_S for left in keys_of(trained, PERSON).values())
    for path in ("", "/history", "/export"):
        assert trained.client.get(f"/users/{PERSON}{path}").status_code == 404
    assert trained.client.get(f"/recommend/{PERSON}").json()["fallback"] is not None


def test_answers_that_are_written_down_late_go_too(trained: Service) -> None:
    """An answer is in the memory of the process for half a second before it is in the database."""
    live(trained)
    answer = trained.client.get(f"/recommend/{PERSON}").json()
    report = erase(trained)
    time.sleep(2 * trained.settings.answer_flush_s)
    assert places_of(trained, PERSON) == set()
    assert places_of(trained, answer["recommendation_id"]) == set()
    assert trained.client.get(f"/admin/erasures/{report['id']}").json() == report
    assert report["removed"]["answers"] >= 2


def test_a_list_does_not_go_on_from_an_answer_to_the_erased_person(trained: Service) -> None:
    live(trained)
    answer = trained.client.get(f"/recommend/{PERSON}").json()
    assert trained.client.get(f"/recommend/next/{answer['recommendation_id']}").status_code == 200
    erase(trained)
    assert trained.client.get(f"/recommend/next/{answer['recommendation_id']}").status_code == 404
    assert places_of(trained, PERSON) == set()


def test_every_table_with_a_users_id_is_looked_at() -> None:
    assert {"users", "events", "answers"} <= {table.name for table in personal_tables()}
    naming = {name for name, table in Base.metadata.tables.items() if "user_id" in table.columns}
    assert naming == {table.name for table in personal_tables()}


def test_answers_kept_for_requests_that_come_again_go_too(trained: Service) -> None:
    def key(name: str) -> dict[str, str]:
        return {"Idempotency-Key": name}

    trained.client.put(f"/users/{PERSON}", json={"attributes": {"a": "secret-8d1b"}}, headers=key("one"))
    trained.client.put("/users/anonymous-4c", json={"attributes": {"b": 1}}, headers=key("two"))
    trained.client.post(f"/users/{PERSON}/merge", json={"from": "anonymous-4c"}, headers=key("three"))
    assert "idempotent_requests" in places_of(trained, PERSON)
    first = trained.client.delete(f"/users/{PERSON}", headers=key("four"))
    assert first.json()["removed"]["idempotent_requests"] == 2
    for word in (PERSON, "anonymous-4c", b"secret-8d1b".hex()):
        assert places_of(trained, word) == set()
    again = trained.client.delete(f"/users/{PERSON}", headers=key("four"))
    assert (again.status_code, again.json()) == (200, first.json())


def test_twice_is_a_404_and_others_stay(trained: Service) -> None:
    live(trained)
    erase(trained)
    assert trained.client.delete(f"/users/{PERSON}").status_code == 404
    assert len(trained.client.get("/users/u0/history").json()["events"]) == EVENTS_A_USER
    assert len(trained.client.get("/users").json()["users"]) == USERS


def test_whoever_comes_back_is_a_new_person(trained: Service) -> None:
    live(trained)
    erase(trained)
    send(trained, event(PERSON, "i5"))
    assert trained.client.get(f"/users/{PERSON}").json()["attributes"] == {}
    shown = trained.client.get(f"/recommend/{PERSON}", params={"limit": 1_000}).json()
    assert {"i1", "i2", "i3"} <= {item["item_id"] for item in shown["items"]}
    assert erase(trained)["removed"]["events"] == 1


def test_the_report_is_kept_without_the_person(trained: Service) -> None:
    live(trained)
    report = erase(trained)
    kept = trained.client.get(f"/admin/erasures/{report['id']}")
    assert kept.json() == report
    listed = trained.client.get("/admin/erasures").json()
    assert listed == {"erasures": [report], "next_cursor": None}
    for user, concerned in ((PERSON, True), ("u0", False)):
        asked = trained.client.get(f"/admin/erasures/{report['id']}", params={"user_id": user}).json()
        assert asked == {**report, "concerns": concerned}
    assert trained.client.get("/admin/erasures/99").status_code == 404


def test_reports_are_numbered_and_paged_and_a_projects_own(trained: Service) -> None:
    other = client_of(trained, "other")
    other.put("/users/x", json={})
    other.delete("/users/x")
    for user in ("u0", "u1", "u2"):
        erase(trained, user)
    first = trained.client.get("/admin/erasures", params={"limit": 2}).json()
    second = trained.client.get("/admin/erasures", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["erasures"] + second["erasures"]] == [3, 2, 1]
    assert second["next_cursor"] is None
    assert [one["id"] for one in other.get("/admin/erasures").json()["erasures"]] == [1]
    assert other.get("/admin/erasures/2").status_code == 404


def test_versions_that_saw_the_person_are_named(trained: Service) -> None:
    """v1 was trained on the events of u0 and before those of a newcomer."""
    live(trained)
    assert erase(trained, "u0")["model_versions"] == ["v1"]
    assert erase(trained)["model_versions"] == []
    trained.client.put("/users/quiet", json={"attributes": {"a": 1}})
    assert erase(trained, "quiet")["model_versions"] == []


def replayed(service: Service) -> ReplayTrainer:
    trainer = service.parts.trainer
    assert isinstance(trainer, ReplayTrainer)
    return trainer


def test_the_next_training_is_without_the_person(trained: Service) -> None:
    erase(trained, "u0")
    training = trained.train()
    assert training["state"] == "succeeded", training["error"]
    (dataset,) = replayed(trained).datasets
    assert len(dataset.interactions) == USERS - 1
    assert training["result"]["erased_since_cut"] == 0
    assert erase(trained, "u1")["model_versions"] == ["v2", "v1"]


def test_a_training_at_work_begins_again(trained: Service) -> None:
    reports: list[dict[str, Any]] = []
    trainer = replayed(trained)

    def interfere() -> None:
        if not reports:
            reports.append(erase(trained, "u0"))

    trainer.before_return = interfere
    training = trained.train()
    assert training["state"] == "succeeded", training["error"]
    assert [len(dataset.interactions) for dataset in trainer.datasets] == [USERS, USERS - 1]
    assert training["result"]["erased_since_cut"] == 0
    assert training["data_cut"]["users"] == USERS - 1
    (report,) = reports
    assert report["model_versions"] == ["v1"]
    assert report["trainings"] == [{"id": training["id"], "state": "running"}]
    assert trained.client.get(f"/admin/erasures/{report['id']}").json()["model_versions"] == ["v1"]


def test_a_training_that_goes_on_from_a_killed_attempt_reads_again(trained: Service) -> None:
    """The kept data of the first attempt have the person in them."""
    trainer = replayed(trained)

    def die() -> None:
        trainer.before_return = lambda: None
        raise JobInterrupted

    trainer.before_return = die
    with pytest.raises(JobInterrupted):
        trained.train()
    kept = dict(trained.parts.artifacts.kept_folders())
    (job,) = kept
    assert any(kept[job].iterdir())
    report = erase(trained, "u0")
    assert report["trainings"] == [{"id": job, "state": "running"}]
    with trained.context.database.transaction() as transaction:
        sweep_jobs(transaction, trained.context.queue, SweepPolicy(stale_s=0, resend_s=0, max_attempts=5))
    trained.run_jobs()
    assert [len(dataset.interactions) for dataset in trainer.datasets] == [USERS, USERS - 1]
    assert trained.client.get(f"/admin/trainings/{job}").json()["state"] == "succeeded"
    assert not list(trained.parts.artifacts.kept_folders())


def test_a_newcomer_erased_meanwhile_does_not_matter(trained: Service) -> None:
    """Events that came after the cut are not in it."""
    trainer = replayed(trained)

    def interfere() -> None:
        live(trained)
        erase(trained)

    trainer.before_return = interfere
    training = trained.train()
    assert len(trainer.datasets) == 1
    assert training["result"]["erased_since_cut"] == 0


def test_where_people_are_erased_all_the_time_a_version_says_so(trained: Service) -> None:
    users = iter(f"u{number}" for number in range(USERS))
    trainer = replayed(trained)

    def interfere() -> None:
        erase(trained, next(users))

    trainer.before_return = interfere
    training = trained.train()
    assert training["state"] == "succeeded", training["error"]
    assert [len(dataset.interactions) for dataset in trainer.datasets] == [USERS, USERS - 1, USERS - 2, USERS - 3]
    assert training["result"]["erased_since_cut"] == 1
    reports = trained.client.get("/admin/erasures").json()["erasures"]
    assert [report["model_versions"] for report in reports] == [["v2", "v1"], ["v1"], ["v1"], ["v1"]]


def test_an_event_that_is_committed_after_the_erasure_leaves_no_stale_state(trained: Service) -> None:
    """The writer's event is erased, its append comes late, and a reader has filled the state in between."""
    live(trained)
    context = trained.context
    late: list[threading.Event] = []

    class SlowWriter(RedisSequenceWriter):
        def append(self, *args: Any) -> None:
            late.append(threading.Event())
            erase(trained)
            assert trained.client.get(f"/recommend/{PERSON}").json()["fallback"] is not None
            super().append(*args)

    writer = SlowWriter(context.redis, cap=100, ttl_s=3_600)
    with context.database.transaction() as transaction:
        EventService(transaction, trained.project, sequences=writer).record([event(PERSON, "i7")])
    assert late
    # They came back and were answered: that is a new person, without events.
    assert places_of(trained, PERSON) <= {"answers"}
    shown = trained.client.get(f"/recommend/{PERSON}", params={"limit": 1_000}).json()
    assert shown["fallback"] is not None
    assert "i7" in {item["item_id"] for item in shown["items"]}


def test_an_erasure_that_is_rolled_back_changes_nothing(trained: Service) -> None:
    live(trained)
    context = trained.context
    with pytest.raises(ZeroDivisionError), context.database.transaction() as transaction:  # noqa: PT012
        service = ErasureService(transaction, trained.project, sequences=context.sequences, transfers_kept_s=1)
        service.erase(PERSON)
        raise ZeroDivisionError
    assert len(trained.client.get(f"/users/{PERSON}/history").json()["events"]) == 3
    assert trained.client.get("/admin/erasures").json()["erasures"] == []


def test_two_erasures_at_once_are_one(trained: Service) -> None:
    live(trained)
    context = trained.context
    outcomes: list[str] = []

    def run() -> None:
        try:
            with context.database.transaction() as transaction:
                ErasureService(transaction, trained.project, sequences=context.sequences, transfers_kept_s=1).erase(
                    PERSON
                )
            outcomes.append("erased")
        except UserNotFound:
            outcomes.append("unknown")

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("erased") >= 1
    reports = trained.client.get("/admin/erasures").json()["erasures"]
    assert [report["id"] for report in reports] == list(range(len(reports), 0, -1))
    assert sum(report["removed"]["events"] for report in reports) == 3


def test_merged_events_are_erased_with_the_user(trained: Service) -> None:
    send(trained, event("anonymous", "i1"))
    trained.client.post(f"/users/{PERSON}/merge", json={"from": "anonymous"})
    assert erase(trained)["removed"]["events"] == 1
    with trained.context.database.transaction() as transaction:
        assert transaction.session.query(EventRow).filter(EventRow.user_id == "anonymous").count() == 0


def test_what_two_write_into_a_report_at_once_is_both_there(trained: Service) -> None:
    live(trained)
    number = erase(trained)["id"]
    database = trained.context.database
    with database.transaction() as publishing:
        erasures = ErasureRepository(publishing, trained.project)
        seen = erasures.since(0, until_event=MAX_NUMBER)
        with database.transaction() as late:
            row = ErasureRepository(late, trained.project).get(number)
            assert row is not None
            row.report = {**row.report, "removed": {**row.report["removed"], "answers": 77}}
        erasures.add_version(seen, "v9")
    report = trained.client.get(f"/admin/erasures/{number}").json()
    assert (report["removed"]["answers"], report["model_versions"][0]) == (77, "v9")
