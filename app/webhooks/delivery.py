"""Sends the messages that are due, several at once, and says when those that did not arrive are tried again."""

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

import structlog

from app.core.types import ProjectId
from app.db.session import Database, Transaction
from app.jobs.run import JobRun
from app.stores.queue import JobQueue
from app.webhooks.outbox import WebhookOutbox
from app.webhooks.repository import DueMessage, WebhookRepository, projects_with_due_messages
from app.webhooks.sending import Envelope, Outcome, Send

log = structlog.get_logger(__name__)

AT_ONCE = 16
SLICE_S = 20.0
"""After this long a job ends: receivers of one project that are slow do not keep those of others waiting."""
LEASE_S = 300.0
"""After this long a message that was taken is due again: its worker must have died."""
FIRST_RETRY_S = 5.0
GROWTH = 3.0
LONGEST_RETRY_S = 4 * 3_600.0
ERROR_CHARACTERS = 200


def retry_delay_s(attempts: int) -> float:
    """Seconds until the next attempt after so many: 5, 15, 45, … at most four hours, each up to a fifth longer."""
    delay = min(FIRST_RETRY_S * GROWTH ** (attempts - 1), LONGEST_RETRY_S)
    return delay * random.uniform(1.0, 1.2)


def message_name(message: DueMessage) -> str:
    """The id under which the receiver knows the message, however often it comes."""
    return f"msg_{message.id.hex}"


class DeliveryService:
    """The work behind a delivery job.

    Args:
        database: holds the messages.
        send: one attempt.
        retry_s: for how long a message is tried.
    """

    def __init__(self, database: Database, send: Send, *, retry_s: float) -> None:
        self._database = database
        self._send = send
        self._retry_s = retry_s

    def deliver_due(self, run: JobRun) -> int:
        """Send what is due in the job's project, for a slice of time; how many messages were tried.

        What is left is found by the next sweep (`ensure_deliveries`).

        Raises:
            JobStopped: when the job shall leave off; what was tried is written down.
        """
        tried = 0
        until = time.monotonic() + SLICE_S
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
            while (not tried or time.monotonic() < until) and (messages := self._take(run.project)):
                for message, outcome in zip(messages, pool.map(self._try, messages), strict=True):
                    self._settle(run.project, message, outcome)
                tried += len(messages)
                run.check()
        return tried

    def _take(self, project: ProjectId) -> Sequence[DueMessage]:
        with self._database.transaction() as transaction:
            return WebhookRepository(transaction, project).take_due(limit=AT_ONCE, lease_s=LEASE_S)

    def _try(self, message: DueMessage) -> Outcome:
        return self._send(Envelope(message_name(message), message.url, message.secret, message.body.encode()))

    def _settle(self, project: ProjectId, message: DueMessage, outcome: Outcome) -> None:
        unwanted = outcome.status == HTTPStatus.GONE
        delay_s = retry_delay_s(message.attempts)
        retry_s = None if unwanted or message.age_s + delay_s > self._retry_s else delay_s
        error = outcome.error and outcome.error[:ERROR_CHARACTERS]
        with self._database.transaction() as transaction:
            webhooks = WebhookRepository(transaction, project)
            webhooks.settle(message, status=outcome.status, error=error, retry_s=retry_s)
            if unwanted:
                webhooks.pause(message.webhook_id)
        if error is not None:
            log.warning(
                "webhook not delivered",
                webhook=str(message.webhook_id),
                message=message_name(message),
                attempts=message.attempts,
                status=outcome.status,
                given_up=retry_s is None,
            )


def ensure_deliveries(transaction: Transaction, queue: JobQueue) -> None:
    """A job wherever messages are due and none is at work: after a pause between attempts, or after a death."""
    outbox = WebhookOutbox(queue)
    for project in projects_with_due_messages(transaction):
        outbox.ensure_sent(transaction, project)
