"""Schedules: what is ordered when, once, whoever looks and however often."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from app.core.errors import InvalidRequest
from app.core.jobs import JobKind
from app.core.types import JobState, Scope
from app.db.tables import JobRow, ScheduleRow
from app.impressions.repository import insert_answers
from app.lifecycle import evaluation
from app.lifecycle.evaluation import ScheduleEvaluator
from tests.app.impressions.making import add_events, answer
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of, put_item

NOW = datetime.now(UTC)
CHECK_S = 60.0
DAILY = {"cron": "0 3 * * *", "training": {"method": "id", "hyperparameters": {"epochs": 3}, "promote": "never"}}


def put(service: Service, name: str = "nightly", **order: Any) -> dict[str, Any]:
    answered = service.client.put(f"/admin/schedules/{name}", json=order)
    assert answered.status_code in (200, 201), answered.text
    schedule: dict[str, Any] = answered.json()
    return schedule


def get(service: Service, name: str = "nightly") -> dict[str, Any]:
    schedule: dict[str, Any] = service.client.get(f"/admin/schedules/{name}").json()
    return schedule


def look(service: Service, at: datetime) -> int:
    """How many trainings a look at that time orders."""
    context = service.context
    return ScheduleEvaluator(context.database, context.queue, check_s=CHECK_S, clock=lambda: at).evaluate()


def trainings(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.client.get("/admin/trainings").json()["trainings"]
    return found


def due_time(schedule: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(schedule["next_run"])


def end_trainings(service: Service, state: JobState = JobState.SUCCEEDED, **values: Any) -> None:
    with service.context.database.transaction() as transaction:
        ended = update(JobRow).where(JobRow.kind == JobKind.TRAIN)
        transaction.session.execute(ended.values(state=state, finished_at=func.now(), **values))


def test_at_its_time_it_orders_what_it_says(light: Service) -> None:
    schedule = put(light, **DAILY)
    due = due_time(schedule)
    assert (due.hour, due.minute, schedule["last"]) == (3, 0, None)
    assert NOW < due <= NOW + timedelta(days=1, minutes=1)
    assert look(light, due - timedelta(seconds=1)) == 0
    assert look(light, due) == 1
    (training,) = trainings(light)
    assert (training["method"], training["hyperparameters"], training["promote"]) == ("id", {"epochs": 3}, "never")
    found = get(light)
    assert due_time(found) == due + timedelta(days=1)
    assert (found["last"]["training_id"], found["last"]["reason"], found["last"]["state"]) == (
        training["id"],
        "cron",
        "queued",
    )


def test_never_two_at_once_and_what_was_missed_is_made_up_for_once(light: Service) -> None:
    due = due_time(put(light, **DAILY))
    assert look(light, due) == 1
    week = due + timedelta(days=7, minutes=5)
    assert look(light, week) == 0, "the first has not ended"
    assert due_time(get(light)) == due + timedelta(days=1), "it stays due"
    end_trainings(light, result={"model_version": "v9"})
    assert get(light)["last"]["model_version"] == "v9"
    assert look(light, week) == 1
    assert due_time(get(light)) == due + timedelta(days=8)
    end_trainings(light, JobState.FAILED, error="why")
    assert look(light, week) == 0
    assert (get(light)["last"]["state"], get(light)["last"]["error"]) == ("failed", "why")


def test_many_who_look_at_once_order_once(light: Service) -> None:
    for number in range(3):
        put(light, f"s{number}", **DAILY)
    due = due_time(get(light, "s0"))
    ordered: list[int] = []
    together = threading.Barrier(4)

    def beat() -> None:
        together.wait()
        ordered.append(look(light, due))

    beats = [threading.Thread(target=beat) for _ in range(4)]
    for thread in beats:
        thread.start()
    for thread in beats:
        thread.join()
    assert sum(ordered) == 3
    assert len(trainings(light)) == 3


def test_the_marks_move_with_the_order_or_not_at_all(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    due = due_time(put(light, **DAILY))

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(evaluation.log, "info", fail)
    with pytest.raises(ZeroDivisionError):
        look(light, due)
    assert trainings(light) == []
    assert due_time(get(light)) == due
    monkeypatch.undo()
    assert look(light, due) == 1


def test_after_so_many_events(light: Service) -> None:
    with light.context.database.transaction() as transaction:
        add_events(transaction, light.project, *((None, f"old{n}", "view", 1.0) for n in range(5)))
    put(light, triggers={"after_events": 3})
    later = NOW + timedelta(hours=1)
    assert look(light, later) == 0, "events from before the schedule do not count"
    for count, ordered in ((2, 0), (1, 1)):
        with light.context.database.transaction() as transaction:
            add_events(transaction, light.project, *((None, f"{count}{n}", "view", 2.0) for n in range(count)))
        later += timedelta(seconds=CHECK_S)
        assert look(light, later) == ordered
    assert get(light)["last"]["reason"] == "after_events"
    end_trainings(light)
    assert look(light, later + timedelta(hours=1)) == 0, "counted from the last training"


def test_after_so_many_items(light: Service) -> None:
    put_item(light, "before", "x")
    put(light, triggers={"after_items": 2})
    later = NOW + timedelta(hours=1)
    for item, ordered in (("a", 0), ("b", 1)):
        put_item(light, item, "x")
        put_item(light, "before", f"changed with {item}")
        later += timedelta(seconds=CHECK_S)
        assert look(light, later) == ordered
    assert get(light)["last"]["reason"] == "after_items"


def test_conditions_are_looked_at_now_and_then_only(light: Service) -> None:
    put(light, triggers={"after_items": 1})
    later = NOW + timedelta(hours=1)
    assert look(light, later) == 0
    put_item(light, "a", "x")
    assert look(light, later + timedelta(seconds=CHECK_S - 1)) == 0
    assert look(light, later + timedelta(seconds=CHECK_S)) == 1


FALLS = {"metric": "ctr", "by": 0.2, "window_s": 3_600, "baseline_window_s": 36_000, "min_impressions": 10}


def show(service: Service, at: datetime, *, items: int, clicked: int) -> None:
    """One answer with so many items, of which the first ones are clicked."""
    shown = [f"i{number}" for number in range(items)]
    made = answer(service.project, shown, at=at.timestamp())
    with service.context.database.transaction() as transaction:
        insert_answers(transaction, [made])
        add_events(
            transaction,
            service.project,
            *((made.id, item, "click", at.timestamp() + 1.0) for item in shown[:clicked]),
        )


@pytest.mark.parametrize(
    ("items", "clicked", "ordered"),
    [
        pytest.param(100, 39, 1, id="0.39 is less than four fifths of 0.5"),
        pytest.param(100, 41, 0, id="0.41 is not"),
        pytest.param(9, 0, 0, id="too few impressions to tell"),
    ],
)
def test_when_a_metric_falls(light: Service, items: int, clicked: int, ordered: int) -> None:
    later = NOW + timedelta(hours=1)
    show(light, later - timedelta(hours=5), items=40, clicked=20)
    show(light, later - timedelta(minutes=30), items=items, clicked=clicked)
    put(light, triggers={"when_metric_falls": FALLS})
    assert look(light, later) == ordered


def test_too_little_to_compare_with(light: Service) -> None:
    later = NOW + timedelta(hours=1)
    show(light, later - timedelta(hours=5), items=9, clicked=9)
    show(light, later - timedelta(minutes=30), items=100, clicked=0)
    put(light, triggers={"when_metric_falls": FALLS})
    assert look(light, later) == 0


def test_a_metric_that_stays_low_orders_nothing_until_its_baseline_is_past(light: Service) -> None:
    later = NOW + timedelta(hours=1)
    show(light, later - timedelta(hours=5), items=40, clicked=20)
    show(light, later - timedelta(minutes=30), items=40, clicked=0)
    put(light, triggers={"when_metric_falls": FALLS})
    assert look(light, later) == 1
    assert get(light)["last"]["reason"] == "when_metric_falls"
    end_trainings(light)
    assert look(light, later + timedelta(seconds=CHECK_S)) == 0
    with light.context.database.transaction() as transaction:
        since = transaction.session.scalars(select(ScheduleRow.metric_since)).one()
    assert since == later + timedelta(seconds=36_000)


def test_one_that_cannot_be_looked_at_holds_up_no_other(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_slow(*_: Any, **__: Any) -> None:
        raise InvalidRequest.of("since", "would take too long")

    monkeypatch.setattr(evaluation, "online_metrics", too_slow)
    put(light, "a", triggers={"when_metric_falls": FALLS})
    put(light, "b", **DAILY)
    due = due_time(get(light, "b"))
    assert look(light, due) == 1
    with light.context.database.transaction() as transaction:
        looked_at = transaction.session.scalars(select(ScheduleRow.checked_at).where(ScheduleRow.name == "a")).one()
    assert looked_at == due, "and is not looked at again at once"


def test_life_of_a_schedule(light: Service) -> None:
    first = light.client.put("/admin/schedules/nightly", json=DAILY)
    assert first.status_code == 201
    changed = light.client.put("/admin/schedules/nightly", json={"triggers": {"after_events": 5}})
    assert changed.status_code == 200
    assert (changed.json()["cron"], changed.json()["next_run"]) == (None, None)
    assert changed.json()["triggers"] == {"after_events": 5}
    assert changed.json()["training"] == {"method": "crossan", "hyperparameters": {}, "promote": "if_better"}
    put(light, "another", **DAILY)
    listed = light.client.get("/admin/schedules").json()["schedules"]
    assert [schedule["name"] for schedule in listed] == ["another", "nightly"]
    assert light.client.delete("/admin/schedules/nightly").status_code == 204
    gone = light.client.delete("/admin/schedules/nightly")
    assert (gone.status_code, gone.json()["type"].rpartition("schedule-")[2]) == (404, "not-found")


def test_a_training_that_is_forgotten_has_no_state(light: Service) -> None:
    put(light, **DAILY)
    forgotten = uuid4()
    with light.context.database.transaction() as transaction:
        transaction.session.execute(update(ScheduleRow).values(last_job_id=forgotten, last_reason="cron"))
    last = get(light)["last"]
    assert (UUID(last["training_id"]), last["reason"], last["state"]) == (forgotten, "cron", None)


@pytest.mark.parametrize(
    ("order", "field"),
    [
        ({}, "body"),
        ({"triggers": {}}, "triggers"),
        ({"cron": "0 3 * * * *"}, "cron"),
        ({"cron": "0 0 31 2 *"}, "cron"),
        ({**DAILY, "training": {"method": "magic"}}, "training.method"),
        ({**DAILY, "training": {"hyperparameters": {"epochs": 0}}}, "training.hyperparameters.epochs"),
        ({**DAILY, "training": {"hyperparameters": {"modalities": "\x00"}}}, "training.hyperparameters"),
        ({**DAILY, "training": {"wait": True}}, "training.wait"),
        ({"triggers": {"after_events": 0}}, "triggers.after_events"),
        ({"triggers": {"when_metric_falls": {"metric": "joy"}}}, "triggers.when_metric_falls.metric"),
        ({"triggers": {"when_metric_falls": {"metric": "ctr", "by": 1.0}}}, "triggers.when_metric_falls.by"),
        ({**DAILY, "who": "me"}, "who"),
    ],
)
def test_a_wrong_order_names_its_field(shared: Service, order: dict[str, Any], field: str) -> None:
    answered = shared.client.put("/admin/schedules/s", json=order)
    assert answered.status_code == 422, answered.text
    assert answered.json()["errors"][0]["field"] == field
    assert shared.client.get("/admin/schedules").json() == {"schedules": []}


def test_there_are_only_so_many(light: Service) -> None:
    for number in range(50):
        put(light, f"s{number}", **DAILY)
    put(light, "s0", **DAILY)
    answered = light.client.put("/admin/schedules/one-more", json=DAILY)
    assert (answered.status_code, answered.json()["errors"][0]["limit"]) == (422, 50)


def test_schedules_of_others(light: Service) -> None:
    put(light, **DAILY)
    stranger = client_of(light, "other")
    assert stranger.get("/admin/schedules").json() == {"schedules": []}
    assert stranger.get("/admin/schedules/nightly").status_code == 404
    assert stranger.delete("/admin/schedules/nightly").status_code == 404
    assert stranger.put("/admin/schedules/nightly", json=DAILY).status_code == 201, "a name of its own"
    headers = light.headers(Scope.INGEST, Scope.RECOMMEND)
    assert light.client.get("/admin/schedules", headers=headers).status_code == 403
