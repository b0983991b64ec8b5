"""Messages are written in the transaction of what they tell of: both are there, or neither."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Transaction
from app.jobs.ending import JobEnding, OnEnd
from app.jobs.repository import JobRepository
from app.jobs.service import JobService
from app.stores.queue import JobQueue
from app.webhooks.events import WebhookEvent
from app.webhooks.repository import WebhookRepository


class WebhookOutbox:
    """Where whoever changes something leaves word.

    Args:
        queue: to the workers; without it the messages wait for the sweep, some seconds.
    """

    def __init__(self, queue: JobQueue | None = None) -> None:
        self._queue = queue

    def emit(
        self, transaction: Transaction, project: ProjectId, event: WebhookEvent, payload: Mapping[str, Any]
    ) -> None:
        """One message to every webhook of the project that listens; `payload` is JSON and holds no secrets."""
        webhooks = WebhookRepository(transaction, project)
        listening = webhooks.listening(event)
        if listening:
            webhooks.add_messages(listening, event, message_body(event, payload))
            self.ensure_sent(transaction, project)

    def ensure_sent(self, transaction: Transaction, project: ProjectId) -> None:
        """A job that sends what is due will start after this transaction."""
        if self._queue is not None:
            JobService(transaction, self._queue).ensure_waiting(project, JobKind.DELIVER)
        else:
            JobRepository(transaction).add_waiting(project, JobKind.DELIVER, sent=False)


def message_body(event: str, payload: Mapping[str, Any]) -> str:
    """The bytes of a message as text: `type`, `timestamp` and `data` (Standard Webhooks specification)."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    message = {"type": event, "timestamp": now, "data": dict(payload)}
    return json.dumps(message, default=str, allow_nan=False, separators=(",", ":"))


def tell_endings(queue: JobQueue | None = None) -> OnEnd:
    """What `run_job` and the sweep call when a job has ended, in the transaction of its end."""
    outbox = WebhookOutbox(queue)

    def tell(transaction: Transaction, ending: JobEnding) -> None:
        event = _EVENTS.get((ending.kind, ending.state))
        if event is not None:
            payload = {
                "job_id": str(ending.id),
                "state": ending.state,
                "result": ending.result and dict(ending.result),
                "error": ending.error,
            }
            outbox.emit(transaction, ending.project, event, payload)

    return tell


_EVENTS = {
    (JobKind.TRAIN, JobState.SUCCEEDED): WebhookEvent.TRAINING_SUCCEEDED,
    (JobKind.TRAIN, JobState.FAILED): WebhookEvent.TRAINING_FAILED,
    **{(JobKind.IMPORT, state): WebhookEvent.IMPORT_FINISHED for state in JobState if state.finished},
    **{(JobKind.EXPORT, state): WebhookEvent.EXPORT_FINISHED for state in JobState if state.finished},
}
