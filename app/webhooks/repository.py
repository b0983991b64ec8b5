"""Queries for webhooks and their messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Float, and_, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.ids import uuid7
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import JobRow, WebhookDeliveryRow, WebhookRow

PENDING, DELIVERED, GIVEN_UP = "pending", "delivered", "given_up"


@dataclass(frozen=True)
class DueMessage:
    """A message that is to be sent now, and what that takes."""

    id: UUID
    webhook_id: UUID
    url: str
    secret: str
    body: str
    attempts: int
    """With this one."""
    age_s: float


class WebhookRepository(Repository):
    """The webhooks of one project."""

    def add(self, row: WebhookRow) -> WebhookRow:
        """Insert and read back the defaults."""
        self.session.add(row)
        self.session.flush()
        self.session.refresh(row)
        return row

    def count(self) -> int:
        """How many there are; the project is held, so that two do not add the last one together."""
        self.session.execute(
            select(func.pg_advisory_xact_lock(func.hashtextextended(f"crossan:webhooks:{self.project}", 0)))
        )
        query = select(func.count()).select_from(WebhookRow).where(WebhookRow.project_id == self.project)
        return self.session.scalars(query).one()

    def all(self) -> Sequence[WebhookRow]:
        """Every webhook, oldest first."""
        query = select(WebhookRow).where(WebhookRow.project_id == self.project).order_by(WebhookRow.id)
        return self.session.scalars(query).all()

    def get(self, webhook_id: UUID, *, lock: bool = False) -> WebhookRow | None:
        """One webhook."""
        query = select(WebhookRow).where(WebhookRow.project_id == self.project, WebhookRow.id == webhook_id)
        return self.session.scalars(query.with_for_update() if lock else query).one_or_none()

    def delete(self, webhook_id: UUID) -> bool:
        """Remove it with its messages; whether it was there."""
        query = (
            delete(WebhookRow)
            .where(WebhookRow.project_id == self.project, WebhookRow.id == webhook_id)
            .returning(WebhookRow.id)
        )
        return self.session.scalars(query).one_or_none() is not None

    def listening(self, event: str) -> Sequence[UUID]:
        """Those that want to hear of the event; nothing is kept for one that is paused."""
        query = select(WebhookRow.id).where(
            WebhookRow.project_id == self.project, ~WebhookRow.paused, WebhookRow.events.contains([event])
        )
        return self.session.scalars(query).all()

    def add_messages(self, webhooks: Sequence[UUID], event: str, body: str) -> Sequence[UUID]:
        """The same message to each of the webhooks; their ids."""
        ids = [uuid7() for _ in webhooks]
        rows = [
            {"id": message, "project_id": self.project, "webhook_id": webhook, "event": event, "body": body}
            for message, webhook in zip(ids, webhooks, strict=True)
        ]
        self.session.execute(insert(WebhookDeliveryRow).values(rows))
        return ids

    def messages(self, webhook_id: UUID, *, limit: int) -> Sequence[WebhookDeliveryRow]:
        """The newest messages of a webhook."""
        query = (
            select(WebhookDeliveryRow)
            .where(WebhookDeliveryRow.project_id == self.project, WebhookDeliveryRow.webhook_id == webhook_id)
            .order_by(WebhookDeliveryRow.id.desc())
            .limit(limit)
        )
        return self.session.scalars(query).all()

    def get_message(self, message_id: UUID) -> WebhookDeliveryRow:
        """One message, which is there."""
        return self.session.get_one(WebhookDeliveryRow, message_id)

    def take_due(self, *, limit: int, lease_s: float) -> Sequence[DueMessage]:
        """Messages that are due, counted as tried; nobody else takes them within the lease."""
        due = (
            select(WebhookDeliveryRow.id)
            .join(WebhookRow, WebhookRow.id == WebhookDeliveryRow.webhook_id)
            .where(WebhookDeliveryRow.project_id == self.project, *_due())
            .order_by(WebhookDeliveryRow.next_at)
            .limit(limit)
            .with_for_update(of=WebhookDeliveryRow, skip_locked=True)
        )
        query = (
            update(WebhookDeliveryRow)
            .where(WebhookDeliveryRow.id.in_(due.scalar_subquery()), WebhookRow.id == WebhookDeliveryRow.webhook_id)
            .values(attempts=WebhookDeliveryRow.attempts + 1, next_at=func.now() + timedelta(seconds=lease_s))
            .returning(
                WebhookDeliveryRow.id,
                WebhookDeliveryRow.webhook_id,
                WebhookRow.url,
                WebhookRow.secret,
                WebhookDeliveryRow.body,
                WebhookDeliveryRow.attempts,
                func.extract("epoch", func.now() - WebhookDeliveryRow.created_at).cast(Float),
            )
            .execution_options(synchronize_session=False)
        )
        return [DueMessage(*row) for row in self.session.execute(query)]

    def settle(self, message: DueMessage, *, status: int | None, error: str | None, retry_s: float | None) -> None:
        """Write down what became of an attempt: arrived (no error), to be tried again, or given up."""
        state = DELIVERED if error is None else GIVEN_UP if retry_s is None else PENDING
        values: dict[str, Any] = {"state": state, "status": status, "error": error}
        if state is PENDING:
            values["next_at"] = func.now() + timedelta(seconds=retry_s or 0)
        else:
            values["finished_at"] = func.now()
        self.session.execute(
            update(WebhookDeliveryRow)
            .where(WebhookDeliveryRow.id == message.id, WebhookDeliveryRow.state == PENDING)
            .values(values)
        )
        if state is not PENDING:
            failing_since = None if error is None else func.coalesce(WebhookRow.failing_since, func.now())
            self.session.execute(
                update(WebhookRow)
                .where(WebhookRow.project_id == self.project, WebhookRow.id == message.webhook_id)
                .values(failing_since=failing_since)
            )

    def pause(self, webhook_id: UUID) -> None:
        """Send nothing more there."""
        self.session.execute(
            update(WebhookRow)
            .where(WebhookRow.project_id == self.project, WebhookRow.id == webhook_id)
            .values(paused=True)
        )


def _due() -> tuple[ColumnElement[bool], ...]:
    return (
        WebhookDeliveryRow.state == PENDING,
        WebhookDeliveryRow.next_at <= func.now(),
        ~WebhookRow.paused,
    )


def projects_with_due_messages(transaction: Transaction) -> Sequence[ProjectId]:
    """Projects where messages are due and no job is there to send them."""
    busy = exists().where(
        JobRow.project_id == WebhookDeliveryRow.project_id,
        JobRow.kind == JobKind.DELIVER,
        JobRow.state.in_([JobState.QUEUED, JobState.RUNNING]),
    )
    query = (
        select(WebhookDeliveryRow.project_id)
        .join(WebhookRow, WebhookRow.id == WebhookDeliveryRow.webhook_id)
        .where(*_due(), ~busy)
        .distinct()
    )
    return [ProjectId(project) for project in transaction.session.scalars(query)]


def forget_messages(transaction: Transaction, *, older_s: float, limit: int) -> int:
    """Delete messages whose story ended long ago, and those that have waited so long for a paused webhook."""
    age = func.now() - timedelta(seconds=older_s)
    old = (
        select(WebhookDeliveryRow.id)
        .join(WebhookRow, WebhookRow.id == WebhookDeliveryRow.webhook_id)
        .where(
            or_(
                WebhookDeliveryRow.finished_at < age,
                and_(WebhookDeliveryRow.state == PENDING, WebhookRow.paused, WebhookDeliveryRow.created_at < age),
            )
        )
        .limit(limit)
        .with_for_update(of=WebhookDeliveryRow, skip_locked=True)
    )
    query = delete(WebhookDeliveryRow).where(WebhookDeliveryRow.id.in_(old)).returning(WebhookDeliveryRow.id)
    return len(transaction.session.scalars(query).all())
