"""What beat asks for, as Celery calls it."""

import importlib
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from app.core.config import Settings
from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.tables import JobRow, ScheduleRow, WebhookDeliveryRow, WebhookRow
from app.jobs.repository import JobRepository
from app.lifecycle.leftovers import Part
from app.webhooks.events import WebhookEvent
from app.webhooks.outbox import WebhookOutbox
from tests.fixtures.receiver import Receiver, running_receiver
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item


def task(name: str) -> Any:
    importlib.import_module("worker.tasks.webhooks")
    return importlib.import_module("worker.celery_app").celery_app.tasks[f"crossan.{name}"]


def jobs(service: Service, kind: JobKind) -> list[tuple[UUID, str]]:
    with service.context.database.transaction() as transaction:
        query = select(JobRow.id, JobRow.state).where(JobRow.kind == kind).order_by(JobRow.created_at)
        return [(job_id, state) for job_id, state in transaction.session.execute(query)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture
def listening(light: Service, receiver: Receiver) -> Receiver:
    """A webhook for everything; such an address could not be registered under these settings."""
    order = {"url": "https://shop.example/", "events": list(WebhookEvent)}
    assert light.client.post("/admin/webhooks", json=order).status_code == 201
    with light.context.database.transaction() as transaction:
        transaction.session.execute(update(WebhookRow).values(url=receiver.url))
    return receiver


@pytest.fixture
def worker_settings(light_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CROSSAN_WEBHOOK_ALLOW_PRIVATE", "true")
    return light_settings


def test_the_sweep_sees_to_it_that_messages_are_sent(light: Service, worker: ModuleType, listening: Receiver) -> None:
    with light.context.database.transaction() as transaction:
        outbox = WebhookOutbox(light.context.queue)
        outbox.emit(transaction, light.project, WebhookEvent.USER_ERASED, {"report": 1})
    ((first, _),) = jobs(light, JobKind.DELIVER)
    listening.answer = lambda _: 500
    for _ in range(2):
        task("deliver")(str(first))
    assert len(listening.received) == 1
    task("sweep")()
    assert len(jobs(light, JobKind.DELIVER)) == 1, "not before its next time"
    with light.context.database.transaction() as transaction:
        transaction.session.execute(update(WebhookDeliveryRow).values(next_at=func.now()))
    listening.answer = lambda _: 200
    for _ in range(2):
        task("sweep")()
    (_, (second, _)) = jobs(light, JobKind.DELIVER)
    task("deliver")(str(second))
    assert len(listening.received) == 2
    assert [state for _, state in jobs(light, JobKind.DELIVER)] == [JobState.SUCCEEDED] * 2


def test_a_training_whose_workers_keep_dying_is_told(light: Service, worker: ModuleType, listening: Receiver) -> None:
    with light.context.database.transaction() as transaction:
        job = JobRepository(transaction).add(light.project, JobKind.TRAIN, {})
        dead = {
            "state": JobState.RUNNING,
            "attempts": light.settings.job_max_attempts,
            "heartbeat_at": func.now() - timedelta(hours=1),
        }
        transaction.session.execute(update(JobRow).where(JobRow.id == job.id).values(**dead))
    task("sweep")()
    ((deliver, _),) = jobs(light, JobKind.DELIVER)
    task("deliver")(str(deliver))
    (message,) = (json.loads(request.body) for request in listening.received)
    assert (message["type"], message["data"]["job_id"]) == ("training.failed", str(job.id))
    assert message["data"]["error"].startswith("The worker died")


def test_a_job_that_a_worker_ends_is_told(light: Service, worker: ModuleType, listening: Receiver) -> None:
    running = importlib.import_module("worker.tasks.running")
    with light.context.database.transaction() as transaction:
        job = JobRepository(transaction).add(light.project, JobKind.EXPORT, {})

    def work(run: Any) -> None:
        with light.context.database.transaction() as inner:
            run.finish(inner, {"rows": 3})

    running.run(str(job.id), work)
    ((deliver, _),) = jobs(light, JobKind.DELIVER)
    task("deliver")(str(deliver))
    (message,) = (json.loads(request.body) for request in listening.received)
    assert (message["type"], message["data"]["result"]) == ("export.finished", {"rows": 3})


def test_schedules_are_looked_at(light: Service, worker: ModuleType) -> None:
    assert light.client.put("/admin/schedules/s", json={"cron": "0 3 * * *"}).status_code == 201
    task("schedules")()
    assert jobs(light, JobKind.TRAIN) == []
    with light.context.database.transaction() as transaction:
        transaction.session.execute(update(ScheduleRow).values(next_at=func.now()))
    for _ in range(2):
        task("schedules")()
    assert [state for _, state in jobs(light, JobKind.TRAIN)] == [JobState.QUEUED]


def test_the_clean_up_goes_through_everything(
    light: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_item(light, "a", "x")
    light.client.delete("/items/a")
    folder = light.settings.data_dir / "blobs" / str(light.project)
    (blob,) = (path for path in folder.rglob("*") if path.is_file())
    then = time.time() - light.settings.leftover_s - 60
    os.utime(blob, (then, then))
    monkeypatch.setattr(Part, "prefix", "ff" if blob.name[:2] != "ff" else "00")
    task("retain")()
    assert blob.exists(), "it is the turn of another part"
    monkeypatch.setattr(Part, "prefix", blob.name[:2])
    task("retain")()
    assert not blob.exists()
