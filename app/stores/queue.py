"""The way to the workers: a message that names a job row."""

from typing import Protocol

from celery import Celery

from app.core.jobs import Job
from app.telemetry import tracing


class JobQueue(Protocol):
    """Sends a job; losing a message only delays the work, because the row stays and is sent again."""

    def send(self, job: Job) -> None:
        """Hand the job to a worker."""


class CeleryQueue:
    """Sends Celery messages by task name; the worker package is never imported here."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery(broker=broker_url, set_as_current=False)
        self._celery.conf.update(
            task_ignore_result=True,
            broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 5},
            task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.2},
        )

    def send(self, job: Job) -> None:
        """Publish one message; raises kombu's OperationalError when the broker is away."""
        with tracing.span(f"send {job.kind}", kind=tracing.SpanKind.PRODUCER, messaging_system="celery"):
            self._celery.send_task(
                job.kind.task_name, args=[str(job.id)], queue=job.kind.queue, headers=tracing.carrier()
            )


class MemoryQueue:
    """The twin for unit tests: remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[Job] = []

    def send(self, job: Job) -> None:
        """Remember the job."""
        self.sent.append(job)
