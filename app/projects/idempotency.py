"""Idempotency keys: a request is claimed, its effect marked in the effect's own transaction, and its answer kept.

The header is that of `draft-ietf-httpapi-idempotency-key-header`. The mark is what makes it exact: whoever has lost the
claim meanwhile cannot commit, and a request that has taken effect is never done again, even if its answer was lost with
the process.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.core.http_errors import IdempotencyAnswerGone, IdempotencyConflict, IdempotencyMismatch
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import IdempotentRequestRow as Row

RUNNING_S = 120.0
"""How long a request is taken to be running; after that it is dead, and may be done again unless it took effect."""
RETRY_AFTER_S = 1


@dataclass(frozen=True)
class Claim:
    """What a client sent: its key, a digest of the request, and which of its attempts this is."""

    key: str
    fingerprint: bytes
    path: str
    attempt: UUID


@dataclass(frozen=True)
class StoredAnswer:
    """An answer as it was first sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class IdempotencyRepository(Repository):
    """The keys of one project."""

    def claim(self, claim: Claim, *, keep_s: float) -> StoredAnswer | None:
        """Make the request this attempt's to do, or say how it was answered.

        Raises:
            IdempotencyMismatch: The key belongs to another request.
            IdempotencyConflict: The first attempt runs.
            IdempotencyAnswerGone: It has taken effect, and its answer is not kept.
        """
        self.session.execute(delete(Row).where(self._is(claim.key), Row.started_at < _ago(keep_s)))
        values = {"fingerprint": claim.fingerprint, "path": claim.path, "attempt": claim.attempt}
        new = insert(Row).values(project_id=self.project, key=claim.key, **values).on_conflict_do_nothing()
        if self.session.scalars(new.returning(Row.attempt)).one_or_none() is not None:
            return None
        return self._look_at(claim)

    def _look_at(self, claim: Claim) -> StoredAnswer | None:
        is_running = Row.started_at > _ago(RUNNING_S)
        found = self.session.execute(select(Row, is_running).where(self._is(claim.key)).with_for_update()).one_or_none()
        if found is None:
            raise IdempotencyConflict(retry_after_s=RETRY_AFTER_S)
        row, runs = found
        if row.fingerprint != claim.fingerprint:
            raise IdempotencyMismatch.of("Idempotency-Key", "was used for another method, path or body")
        if row.status is not None:
            return StoredAnswer(row.status, row.headers or {}, row.body or b"")
        if runs:
            raise IdempotencyConflict(retry_after_s=RETRY_AFTER_S)
        if row.effect_at is not None:
            raise IdempotencyAnswerGone
        row.attempt, row.started_at = claim.attempt, func.now()
        return None

    def mark(self, claim: Claim) -> bool:
        """Say that this transaction is the request's effect, if it has written anything; whether it has.

        Raises:
            IdempotencyConflict: Another attempt has taken over; nothing may be committed.
        """
        if self.session.scalar(select(func.pg_current_xact_id_if_assigned())) is None:
            return False
        query = update(Row).where(self._owned(claim)).values(effect_at=func.now()).returning(Row.attempt)
        if self.session.scalars(query).one_or_none() is None:
            raise IdempotencyConflict(retry_after_s=RETRY_AFTER_S)
        return True

    def answer(self, claim: Claim, answer: StoredAnswer) -> None:
        """Keep the answer."""
        values = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
        self.session.execute(update(Row).where(self._owned(claim)).values(values))

    def end_unanswered(self, claim: Claim) -> None:
        """The answer is not to be kept: from now on the request counts as dead."""
        self.session.execute(
            update(Row).where(self._owned(claim)).values(started_at=Row.started_at - timedelta(seconds=RUNNING_S))
        )

    def release(self, claim: Claim) -> None:
        """The request came to nothing: its key is free."""
        self.session.execute(delete(Row).where(self._owned(claim), Row.effect_at.is_(None)))

    def _is(self, key: str) -> ColumnElement[bool]:
        return (Row.project_id == self.project) & (Row.key == key)

    def _owned(self, claim: Claim) -> ColumnElement[bool]:
        return self._is(claim.key) & (Row.attempt == claim.attempt)


def forget_expired(transaction: Transaction, *, keep_s: float) -> None:
    """Delete what is older than it is kept, of every project."""
    transaction.session.execute(delete(Row).where(Row.started_at < _ago(keep_s)))


def _ago(seconds: float) -> ColumnElement[datetime]:
    return func.now() - timedelta(seconds=seconds)
