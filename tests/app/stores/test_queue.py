import base64
import json
import time
from uuid import uuid4

import pytest
from kombu.exceptions import OperationalError
from redis import Redis

from app.core.jobs import Job, JobKind
from app.stores.queue import CeleryQueue, MemoryQueue


@pytest.mark.parametrize("kind", list(JobKind))
def test_a_message_names_the_row_and_nothing_else(redis_url: str, kind: JobKind) -> None:
    job = Job(uuid4(), kind)
    CeleryQueue(redis_url).send(job)
    with Redis.from_url(redis_url) as redis:
        (message,) = map(json.loads, redis.lrange(kind.queue, 0, -1))  # type: ignore[arg-type]
    assert message["headers"]["task"] == kind.task_name
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    assert (args, kwargs) == ([str(job.id)], {})


def test_a_broker_that_is_away_is_told_quickly() -> None:
    began = time.monotonic()
    with pytest.raises(OperationalError):
        CeleryQueue("redis://127.0.0.1:1").send(Job(uuid4(), JobKind.TRAIN))
    assert time.monotonic() - began < 5


def test_the_twin_remembers() -> None:
    queue, job = MemoryQueue(), Job(uuid4(), JobKind.INDEX)
    queue.send(job)
    assert queue.sent == [job]
