"""What clients do with webhooks."""

from uuid import UUID

from app.core.addresses import AddressRefused, check_url
from app.core.errors import InvalidRequest, WebhookNotFound
from app.core.ids import uuid7
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import WebhookDeliveryRow, WebhookRow
from app.stores.queue import JobQueue
from app.webhooks.events import TEST, WebhookEvent
from app.webhooks.outbox import WebhookOutbox, message_body
from app.webhooks.repository import PENDING, WebhookRepository
from app.webhooks.schemas import DeliveryRead, WebhookCreate, WebhookCreated, WebhookDetail, WebhookPatch, WebhookRead
from app.webhooks.signature import new_secret

MAX_WEBHOOKS = 50
SHOWN = 20


class WebhookService:
    """The webhooks of one project in one transaction."""

    def __init__(
        self, transaction: Transaction, project: ProjectId, *, queue: JobQueue, allow_private: bool = False
    ) -> None:
        self._transaction = transaction
        self._project = project
        self._queue = queue
        self._allow_private = allow_private
        self._webhooks = WebhookRepository(transaction, project)

    def create(self, order: WebhookCreate) -> WebhookCreated:
        """Make one; raises InvalidRequest for an address that is never called, or one webhook too many."""
        self._check(order.url)
        if self._webhooks.count() >= MAX_WEBHOOKS:
            raise InvalidRequest.of("url", f"a project has at most {MAX_WEBHOOKS} webhooks", limit=MAX_WEBHOOKS)
        secret = new_secret()
        row = WebhookRow(
            id=uuid7(), project_id=self._project, url=order.url, events=sorted(order.events), secret=secret
        )
        return WebhookCreated(secret=secret, **read_webhook(self._webhooks.add(row)).model_dump())

    def _check(self, url: str) -> None:
        try:
            check_url(url, allow_private=self._allow_private)
        except AddressRefused as error:
            raise InvalidRequest.of("url", str(error)) from error

    def list_webhooks(self) -> list[WebhookRead]:
        """Every webhook, oldest first."""
        return [read_webhook(row) for row in self._webhooks.all()]

    def get(self, webhook_id: UUID) -> WebhookDetail:
        """One webhook with its newest messages; raises WebhookNotFound."""
        row = self._found(webhook_id)
        deliveries = [read_delivery(message) for message in self._webhooks.messages(webhook_id, limit=SHOWN)]
        return WebhookDetail(deliveries=deliveries, **read_webhook(row).model_dump())

    def patch(self, webhook_id: UUID, patch: WebhookPatch) -> WebhookRead:
        """Change what is given; raises WebhookNotFound, and InvalidRequest for an address that is never called."""
        row = self._found(webhook_id, lock=True)
        if patch.url is not None:
            self._check(patch.url)
            row.url = patch.url
        if patch.events is not None:
            row.events = sorted(patch.events)
        if patch.paused is not None:
            row.paused = patch.paused
        self._transaction.session.flush()
        return read_webhook(row)

    def delete(self, webhook_id: UUID) -> None:
        """Remove it with its messages; raises WebhookNotFound."""
        if not self._webhooks.delete(webhook_id):
            raise WebhookNotFound(webhook_id)

    def test(self, webhook_id: UUID) -> DeliveryRead:
        """Send a message that says nothing, though not while the webhook is paused; raises WebhookNotFound."""
        self._found(webhook_id)
        body = message_body(TEST, {"webhook_id": str(webhook_id)})
        (message_id,) = self._webhooks.add_messages([webhook_id], TEST, body)
        WebhookOutbox(self._queue).ensure_sent(self._transaction, self._project)
        return read_delivery(self._webhooks.get_message(message_id))

    def _found(self, webhook_id: UUID, *, lock: bool = False) -> WebhookRow:
        row = self._webhooks.get(webhook_id, lock=lock)
        if row is None:
            raise WebhookNotFound(webhook_id)
        return row


def read_webhook(row: WebhookRow) -> WebhookRead:
    """A row as clients may see it."""
    return WebhookRead(
        id=row.id,
        url=row.url,
        events=[WebhookEvent(event) for event in row.events],
        paused=row.paused,
        failing_since=row.failing_since,
        created_at=row.created_at,
    )


def read_delivery(row: WebhookDeliveryRow) -> DeliveryRead:
    """A message as clients may see it."""
    return DeliveryRead(
        id=f"msg_{row.id.hex}",
        event=row.event,
        state=row.state,
        attempts=row.attempts,
        status=row.status,
        error=row.error,
        next_at=row.next_at if row.state == PENDING else None,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
