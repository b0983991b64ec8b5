"""The tasks of the worker of transfers, called as Celery calls them."""

import importlib
from types import ModuleType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from celery import signals

from app.core.jobs import JobKind, Queue
from app.jobs.repository import JobRepository
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item


def task(kind: str) -> Any:
    importlib.import_module("worker.tasks.transfers")
    return importlib.import_module("worker.celery_app").celery_app.tasks[f"crossan.{kind}"]


def test_import_and_export(light: Service, worker: ModuleType) -> None:
    file = {"file": ("x.ndjson", b'{"item_id": "a", "title": "x"}\n')}
    ordered = light.client.post("/admin/imports", data={"kind": "items"}, files=file).json()
    for _ in range(2):
        task("import")(ordered["id"])
    assert light.client.get(f"/admin/imports/{ordered['id']}").json()["progress"]["created"] == 1
    ordered = light.client.post("/admin/exports", json={"kind": "items"}).json()
    task("export")(ordered["id"])
    assert light.client.get(f"/admin/exports/{ordered['id']}").json()["rows"] == 1


def test_fetch(light: Service, worker: ModuleType) -> None:
    """Of nothing: which addresses are asked is tested where the downloader can be told."""
    put_item(light, "a", "x")
    with light.context.database.transaction() as transaction:
        job = JobRepository(transaction).add_waiting(light.project, JobKind.FETCH)
    assert job is not None
    task("fetch")(str(job.id))
    with light.context.database.transaction() as transaction:
        row = JobRepository(transaction).get(light.project, UUID(str(job.id)))
        assert row is not None
        assert (row.state, row.result) == ("succeeded", {"media": 0})


@pytest.mark.parametrize(("queue", "built"), [(Queue.TRANSFER, 1), (Queue.SWEEP, 0)])
def test_a_worker_of_several_threads_builds_what_they_share_before_there_are_any(
    worker: ModuleType, monkeypatch: pytest.MonkeyPatch, queue: Queue, built: int
) -> None:
    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(worker, "worker_context", lambda: calls.append(1))
        queues = SimpleNamespace(consume_from={queue: object()})
        instance = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)))
        signals.celeryd_after_setup.send(sender="test", instance=instance, conf=None)
    assert len(calls) == built
