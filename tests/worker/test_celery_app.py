import importlib
import json
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from celery import signals

from app.core.config import Settings
from app.core.jobs import JobKind, Queue


def app_of(worker: ModuleType) -> Any:
    return importlib.import_module("worker.celery_app").celery_app


def test_there_is_a_task_for_every_kind_of_job(worker: ModuleType) -> None:
    app = app_of(worker)
    for module in app.conf.include:
        importlib.import_module(module)
    ours = {name for name in app.tasks if name.startswith("crossan.")}
    assert ours == {kind.task_name for kind in JobKind} | {"crossan.sweep", "crossan.schedules", "crossan.retain"}


@pytest.mark.parametrize(
    ("task", "setting", "queue"),
    [
        ("crossan.sweep", "sweep_every_s", Queue.SWEEP),
        ("crossan.schedules", "schedules_every_s", Queue.SWEEP),
        ("crossan.retain", "retain_every_s", Queue.TRANSFER),
    ],
)
def test_beat_sends_what_is_due_now_and_then(
    worker: ModuleType, worker_settings: Settings, task: str, setting: str, queue: Queue
) -> None:
    (entry,) = (entry for entry in app_of(worker).conf.beat_schedule.values() if entry["task"] == task)
    seconds = getattr(worker_settings, setting)
    assert entry["task"] in app_of(worker).tasks
    assert entry["schedule"] == seconds
    assert entry["options"]["expires"] == seconds, "they do not pile up without a worker"
    assert entry["options"]["queue"] == queue, "long work holds up no sweep"


def test_a_worker_takes_one_message_at_a_time(worker: ModuleType) -> None:
    conf = app_of(worker).conf
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result
    assert not conf.task_acks_late


def test_it_uses_the_configured_broker(worker: ModuleType, worker_settings: Settings) -> None:
    assert app_of(worker).conf.broker_url == worker_settings.redis_url


def test_when_the_process_shall_end_its_jobs_are_told(worker: ModuleType) -> None:
    assert not worker.shutting_down.is_set()
    signals.worker_shutting_down.send(sender="test", sig="TERM", how="Warm", exitcode=0)
    assert worker.shutting_down.is_set()


@pytest.mark.parametrize(("queue", "expected"), [(Queue.ENCODE, 1), (Queue.TRAIN, 0), (Queue.INDEX, 0)])
def test_only_a_worker_that_encodes_loads_the_encoders(
    worker: ModuleType, monkeypatch: pytest.MonkeyPatch, queue: Queue, expected: int
) -> None:
    loaded: list[int] = []
    monkeypatch.setattr(worker, "encoding_service", lambda: loaded.append(1))
    queues = SimpleNamespace(consume_from={queue: object()})
    instance = SimpleNamespace(app=SimpleNamespace(amqp=SimpleNamespace(queues=queues)))
    signals.celeryd_after_setup.send(sender="test", instance=instance, conf=None)
    assert len(loaded) == expected


def test_logs_are_lines_of_json(worker: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        signals.setup_logging.send(sender="test", loglevel=0, logfile=None, format="", colorize=False)
        logging.getLogger("celery").error("a %s", "message")
    finally:
        root.handlers, root.level = before, level
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert json.loads(line)["event"] == "a message"
