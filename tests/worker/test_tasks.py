"""The tasks, called as Celery calls them: by the id of a row."""

import importlib
import json
from datetime import timedelta
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis
from sqlalchemy import func, update

from app.core.config import Settings
from app.core.jobs import JobKind
from app.core.types import JobState
from app.db.tables import JobRow
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item


def task(kind: str) -> Any:
    return importlib.import_module("worker.celery_app").celery_app.tasks[f"crossan.{kind}"]


def state_of(service: Service, job_id: UUID) -> tuple[str, Any]:
    with service.context.database.transaction() as transaction:
        row = transaction.session.get_one(JobRow, job_id)
        return row.state, row.result


def waiting(service: Service) -> UUID:
    job = service._next_job()
    assert job is not None
    return job.id


def test_encode(
    light: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch, fakes: dict[str, FakeEncoder]
) -> None:
    monkeypatch.setattr(worker, "encoding_service", lambda: light.encoding)
    put_item(light, "a", "x")
    job_id = waiting(light)
    for _ in range(2):
        task("encode")(str(job_id))
    assert state_of(light, job_id) == (JobState.SUCCEEDED, {"contents": 1})
    assert fakes["text"].encoded == [b"x"]
    assert light.client.get("/items/a").json()["state"] == "encoded"


def test_a_message_about_no_job(light: Service, worker: ModuleType) -> None:
    for kind in JobKind:
        task(kind)(str(uuid4()))


def test_a_worker_that_shall_end_gives_its_job_back(
    light: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch, fakes: dict[str, FakeEncoder]
) -> None:
    monkeypatch.setattr(worker, "encoding_service", lambda: light.encoding)
    put_item(light, "a", "x")
    worker.shutting_down.set()
    task("encode")(str(waiting(light)))
    assert fakes["text"].encoded == []
    worker.shutting_down.clear()
    job_id = waiting(light)
    task("encode")(str(job_id))
    assert state_of(light, job_id) == (JobState.SUCCEEDED, {"contents": 1})


def test_the_sweep_sends_lost_messages_again(light: Service, worker: ModuleType, redis_url: str) -> None:
    put_item(light, "a", "x")
    job_id = waiting(light)
    with Redis.from_url(redis_url) as redis:
        redis.delete("encode")
        task("sweep")()
        assert redis.llen("encode") == 0
        with light.context.database.transaction() as transaction:
            late = light.settings.job_resend_s + 1
            transaction.session.execute(update(JobRow).values(sent_at=func.now() - timedelta(seconds=late)))
        task("sweep")()
        (message,) = redis.lrange("encode", 0, -1)  # type: ignore[misc]
    assert json.loads(message)["headers"]["argsrepr"] == f"['{job_id}']"


def test_the_sweep_removes_what_trainings_kept_that_have_ended(light: Service, worker: ModuleType) -> None:
    artifacts = light.parts.artifacts
    training = light.client.post("/admin/trainings", json={}).json()["id"]
    waits, ended = (artifacts.kept_folder(light.project, name) for name in (training, str(uuid4())))
    task("sweep")()
    assert waits.is_dir()
    assert not ended.exists()


class TestWithALiveModel:
    """Tasks that need one."""

    @pytest.fixture
    def worker_settings(self, trained_settings: Settings) -> Settings:
        return trained_settings

    def test_encode_gives_the_vector_too(
        self, trained: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "encoding_service", lambda: trained.encoding)
        put_item(trained, "new", "harbour boat")
        task("encode")(str(waiting(trained)))
        assert trained.client.get("/items/new").json()["recommendable"]

    def test_train_then_index(self, trained: Service, worker: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(worker, "training_parts", lambda: trained.parts)
        ordered = trained.client.post("/admin/trainings", json={"promote": "always"}).json()
        task("train")(ordered["id"])
        training = trained.client.get(f"/admin/trainings/{ordered['id']}").json()
        assert (training["state"], training["result"]["model_version"]) == ("succeeded", "v2")
        job_id = waiting(trained)
        task("index")(str(job_id))
        assert state_of(trained, job_id) == (JobState.SUCCEEDED, {"vectors": 0})
        assert trained.client.get("/recommend/u0").json()["model_version"] == "v2"
