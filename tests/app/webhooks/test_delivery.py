"""Messages are written with what they tell of, sent at least once under one id, tried again, and given up."""

import json
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.tables import JobRow, WebhookDeliveryRow
from app.jobs.ending import JobEnding
from app.webhooks import delivery
from app.webhooks.delivery import FIRST_RETRY_S, LONGEST_RETRY_S, ensure_deliveries, retry_delay_s
from app.webhooks.events import WebhookEvent
from app.webhooks.outbox import WebhookOutbox, tell_endings
from app.webhooks.repository import WebhookRepository, forget_messages
from tests.fixtures.receiver import Receiver
from tests.fixtures.service import Service


def listen(service: Service, receiver: Receiver, *events: str) -> dict[str, Any]:
    order = {"url": receiver.url, "events": list(events) or ["model.promoted"]}
    created = service.client.post("/admin/webhooks", json=order)
    assert created.status_code == 201, created.text
    webhook: dict[str, Any] = created.json()
    return webhook


def emit(service: Service, event: WebhookEvent = WebhookEvent.MODEL_PROMOTED, **payload: Any) -> None:
    with service.context.database.transaction() as transaction:
        WebhookOutbox(service.context.queue).emit(transaction, service.project, event, payload)


def detail(service: Service, webhook: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/admin/webhooks/{webhook['id']}").json()
    return found


def make_due(service: Service, *, age_s: float = 0.0) -> None:
    """As if the pause between two attempts were over, and the message `age_s` older."""
    with service.context.database.transaction() as transaction:
        values: dict[str, Any] = {"next_at": func.now()}
        if age_s:
            values["created_at"] = func.now() - timedelta(seconds=age_s)
        transaction.session.execute(update(WebhookDeliveryRow).values(values))
    with service.context.database.transaction() as transaction:
        ensure_deliveries(transaction, service.context.queue)


def open_jobs(service: Service) -> int:
    with service.context.database.transaction() as transaction:
        query = select(func.count()).where(JobRow.kind == JobKind.DELIVER, JobRow.state == JobState.QUEUED)
        return transaction.session.scalars(query).one()


def test_a_message_arrives_once_and_is_remembered(light: Service, receiver: Receiver) -> None:
    webhook = listen(light, receiver)
    emit(light, version="v7")
    light.run_jobs()
    (request,) = receiver.received
    message = json.loads(request.body)
    assert (message["type"], message["data"]) == ("model.promoted", {"version": "v7"})
    (delivery,) = detail(light, webhook)["deliveries"]
    assert delivery["id"] == request.headers["webhook-id"]
    assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("delivered", 1, 204)
    assert (delivery["error"], delivery["next_at"]) == (None, None)
    make_due(light)
    assert light.run_jobs() == []


def test_what_is_rolled_back_is_not_told(light: Service, receiver: Receiver) -> None:
    webhook = listen(light, receiver)

    def fail() -> None:
        with light.context.database.transaction() as transaction:
            WebhookOutbox(light.context.queue).emit(transaction, light.project, WebhookEvent.MODEL_PROMOTED, {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert light.run_jobs() == []
    assert detail(light, webhook)["deliveries"] == []


def test_only_those_that_listen_in_this_project_are_told(light: Service, receiver: Receiver) -> None:
    hears = listen(light, receiver, "model.promoted", "training.failed")
    other_event = listen(light, receiver, "training.failed")
    paused = listen(light, receiver)
    light.client.patch(f"/admin/webhooks/{paused['id']}", json={"paused": True})
    stranger = light.project_client("other")
    stranger.portal = light.client.portal
    stranger.post("/admin/webhooks", json={"url": receiver.url, "events": ["model.promoted"]})
    emit(light)
    light.run_jobs()
    assert len(receiver.received) == 1
    assert len(detail(light, hears)["deliveries"]) == 1
    assert detail(light, other_event)["deliveries"] == detail(light, paused)["deliveries"] == []


def test_nothing_is_done_when_nobody_listens(light: Service) -> None:
    emit(light)
    assert open_jobs(light) == 0


def test_it_is_sent_again_under_the_same_id_until_it_arrives(light: Service, receiver: Receiver) -> None:
    webhook = listen(light, receiver)
    statuses = [500, 503, 200]
    receiver.answer = lambda _: statuses.pop(0)
    emit(light)
    for attempt in (1, 2):
        light.run_jobs()
        (delivery,) = detail(light, webhook)["deliveries"]
        assert (delivery["state"], delivery["attempts"]) == ("pending", attempt)
        assert delivery["next_at"] > delivery["created_at"]
        assert light.run_jobs() == [], "not before the pause is over"
        make_due(light)
    light.run_jobs()
    (delivery,) = detail(light, webhook)["deliveries"]
    assert (delivery["state"], delivery["attempts"], delivery["error"]) == ("delivered", 3, None)
    assert len({(request.headers["webhook-id"], request.body) for request in receiver.received}) == 1


def test_after_a_day_it_is_given_up_and_the_webhook_is_failing_until_one_arrives(
    light: Service, receiver: Receiver
) -> None:
    webhook = listen(light, receiver)
    receiver.answer = lambda _: 500
    emit(light)
    light.run_jobs()
    assert detail(light, webhook)["failing_since"] is None
    make_due(light, age_s=light.settings.webhook_retry_s)
    light.run_jobs()
    found = detail(light, webhook)
    assert found["failing_since"] is not None
    (delivery,) = found["deliveries"]
    assert (delivery["state"], delivery["error"]) == ("given_up", "The answer was 500.")
    make_due(light)
    assert light.run_jobs() == []
    receiver.answer = lambda _: 204
    assert light.client.post(f"/admin/webhooks/{webhook['id']}/test").status_code == 202
    light.run_jobs()
    assert detail(light, webhook)["failing_since"] is None


def test_a_receiver_that_is_gone_is_left_alone(light: Service, receiver: Receiver) -> None:
    webhook = listen(light, receiver)
    receiver.answer = lambda _: 410
    emit(light)
    light.run_jobs()
    assert detail(light, webhook)["paused"]
    assert detail(light, webhook)["deliveries"][0]["state"] == "given_up"


def test_what_waits_for_a_paused_webhook_is_sent_when_it_goes_on(light: Service, receiver: Receiver) -> None:
    webhook = listen(light, receiver)
    emit(light)
    light.client.patch(f"/admin/webhooks/{webhook['id']}", json={"paused": True})
    light.run_jobs()
    assert receiver.received == []
    light.client.patch(f"/admin/webhooks/{webhook['id']}", json={"paused": False})
    make_due(light)
    light.run_jobs()
    assert len(receiver.received) == 1


def test_a_message_that_is_being_sent_is_not_taken_by_another_worker(light: Service, receiver: Receiver) -> None:
    listen(light, receiver)
    emit(light)
    with light.context.database.transaction() as first, light.context.database.transaction() as second:
        assert len(WebhookRepository(first, light.project).take_due(limit=9, lease_s=60.0)) == 1
        assert WebhookRepository(second, light.project).take_due(limit=9, lease_s=60.0) == []
    with light.context.database.transaction() as later:
        assert WebhookRepository(later, light.project).take_due(limit=9, lease_s=60.0) == []


def test_a_worker_that_dies_while_it_sends_costs_the_lease(light: Service, receiver: Receiver) -> None:
    listen(light, receiver)
    emit(light)
    with light.context.database.transaction() as dying:
        WebhookRepository(dying, light.project).take_due(limit=9, lease_s=60.0)
    light.run_jobs()
    assert receiver.received == []
    make_due(light)
    light.run_jobs()
    assert len(receiver.received) == 1


def test_many_messages_go_in_one_job(light: Service, receiver: Receiver) -> None:
    listen(light, receiver)
    for number in range(40):
        emit(light, number=number)
    assert len(light.run_jobs()) == 1
    assert sorted(json.loads(request.body)["data"]["number"] for request in receiver.received) == list(range(40))


def test_pauses_grow_threefold_up_to_hours() -> None:
    random.seed(0)
    for attempts in range(1, 12):
        expected = min(FIRST_RETRY_S * 3 ** (attempts - 1), LONGEST_RETRY_S)
        assert expected <= retry_delay_s(attempts) <= 1.2 * expected
    shortest = sum(min(FIRST_RETRY_S * 3**n, LONGEST_RETRY_S) for n in range(13))
    assert shortest > 86_400.0, "a dozen attempts or so in a day"


@pytest.mark.parametrize(
    ("kind", "state", "event"),
    [
        (JobKind.TRAIN, JobState.SUCCEEDED, "training.succeeded"),
        (JobKind.TRAIN, JobState.FAILED, "training.failed"),
        (JobKind.IMPORT, JobState.SUCCEEDED, "import.finished"),
        (JobKind.IMPORT, JobState.FAILED, "import.finished"),
        (JobKind.EXPORT, JobState.CANCELLED, "export.finished"),
        (JobKind.TRAIN, JobState.CANCELLED, None),
        (JobKind.ENCODE, JobState.FAILED, None),
    ],
)
def test_endings_of_jobs(light: Service, receiver: Receiver, kind: JobKind, state: JobState, event: str | None) -> None:
    listen(light, receiver, *WebhookEvent)
    job = UUID(int=7)
    ending = JobEnding(job, light.project, kind, state, result={"rows": 1}, error="why")
    with light.context.database.transaction() as transaction:
        tell_endings(light.context.queue)(transaction, ending)
    light.run_jobs()
    told = [json.loads(request.body) for request in receiver.received]
    data = {"job_id": str(job), "state": state, "result": {"rows": 1}, "error": "why"}
    assert [(message["type"], message["data"]) for message in told] == ([(event, data)] if event else [])


def test_a_training_that_fails_is_told(light: Service, receiver: Receiver) -> None:
    listen(light, receiver, "training.failed")
    training = light.train()
    assert training["state"] == "failed"
    (request,) = receiver.received
    assert json.loads(request.body)["data"] == {
        "job_id": training["id"],
        "state": "failed",
        "result": None,
        "error": training["error"],
    }


def test_old_messages_are_forgotten(light: Service, receiver: Receiver) -> None:
    webhook = listen(light, receiver)
    emit(light)
    light.run_jobs()
    emit(light)
    week_s = 7 * 86_400.0
    with light.context.database.transaction() as transaction:
        older = func.now() - timedelta(seconds=week_s + 1)
        finished = update(WebhookDeliveryRow).where(WebhookDeliveryRow.state == "delivered")
        transaction.session.execute(finished.values(finished_at=older))
        assert forget_messages(transaction, older_s=week_s, limit=10) == 1
    assert [delivery["state"] for delivery in detail(light, webhook)["deliveries"]] == ["pending"]


def test_experiments_and_erasures_are_told(light: Service, receiver: Receiver) -> None:
    listen(light, receiver, "experiment.started", "experiment.stopped", "user.erased")
    arms: list[dict[str, Any]] = [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.5}]
    order = {"name": "x", "kind": "interleaving", "arms": arms, "metric": {"types": ["view"]}}
    for arm in arms:
        light.client.put(f"/admin/scenarios/{arm['name']}", json={"options": {}})
        arm["scenario"] = arm["name"]
    experiment = light.client.post("/admin/experiments", json=order).json()["id"]
    light.client.post("/events", json={"user_id": "u", "item_id": "i"})
    for _ in range(2):  # The second start and stop change nothing, and tell nothing.
        assert light.client.post(f"/admin/experiments/{experiment}/start").status_code == 200
    for _ in range(2):
        assert light.client.post(f"/admin/experiments/{experiment}/stop").status_code == 200
    erasure = light.client.delete("/users/u").json()
    light.run_jobs()
    told = {body["type"]: body["data"] for body in (json.loads(one.body) for one in receiver.received)}
    assert len(receiver.received) == 3
    assert told["experiment.started"] == told["experiment.stopped"] == {"experiment_id": experiment, "name": "x"}
    assert told["user.erased"] == {"erasure_id": erasure["id"], "removed": erasure["removed"]}


def test_a_job_ends_after_a_slice_and_another_one_goes_on(
    light: Service, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "SLICE_S", 0.0)
    monkeypatch.setattr(delivery, "AT_ONCE", 2)
    listen(light, receiver)
    for _ in range(3):
        emit(light)
    assert len(light.run_jobs()) == 1
    assert len(receiver.received) == 2
    with light.context.database.transaction() as transaction:
        ensure_deliveries(transaction, light.context.queue)
    light.run_jobs()
    assert len(receiver.received) == 3
