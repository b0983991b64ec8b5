"""Erases a person everywhere, and proves it: a report of what went where, and of what has learned from it."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import ErasureNotFound, UserNotFound
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import AnswerRow, ErasureRow
from app.models.repository import ModelRepository
from app.stores.sequence_cache import SequenceWriter
from app.users.erasures import ErasureRepository, concerns
from app.users.holdings import delete_everything
from app.users.repository import UserRepository
from app.users.schemas import ErasurePage, ErasureRead
from app.users.service import forget_again
from app.webhooks.events import WebhookEvent
from app.webhooks.outbox import WebhookOutbox

CACHE_KEYS = "cache_keys"
ANSWERS = AnswerRow.__tablename__


class ErasureService:
    """Erasures of one project in one transaction.

    Args:
        transaction: all of an erasure is in one.
        project: whose users.
        sequences: the cache of sequence states; while it does not answer nobody is erased.
        transfers_kept_s: how long files of imports and exports are kept, in seconds.
    """

    def __init__(
        self, transaction: Transaction, project: ProjectId, *, sequences: SequenceWriter, transfers_kept_s: float
    ) -> None:
        self._transaction = transaction
        self._project = project
        self._sequences = sequences
        self._transfers_kept_s = transfers_kept_s
        self._users = UserRepository(transaction, project)
        self._erasures = ErasureRepository(transaction, project)

    def erase(self, user_id: str) -> ErasureRead:
        """Remove everything that is held of a person; raises UserNotFound when that is nothing.

        Events that are committed meanwhile make a new person. A version is published either before this, and then is
        in the report, or after it, and then its training has noticed: both hold the project.
        """
        self._erasures.hold()
        self._users.hold(user_id)
        ModelRepository(self._transaction, self._project).hold_live()
        first = self._users.first_event(user_id)
        removed = delete_everything(self._transaction.session, self._project, user_id)
        # Before the commit, so that a crash after it leaves nothing that lives on; states that are filled in between
        # are short-lived, and go with the second call.
        removed[CACHE_KEYS] = self._sequences.forget(self._project, [user_id])
        if not any(removed.values()):
            raise UserNotFound(user_id)
        self._transaction.after_commit(lambda: forget_again(self._sequences, self._project, [user_id]))
        row = self._erasures.add(user_id, first_event=first, report={"removed": removed, **self._remembering(first)})
        WebhookOutbox().emit(
            self._transaction, self._project, WebhookEvent.USER_ERASED, {"erasure_id": row.number, "removed": removed}
        )
        return read_erasure(row)

    def _remembering(self, first: int | None) -> dict[str, Any]:
        """What may have seen the person: versions, trainings at work, files."""
        seen = self._erasures.versions_until(first) if first is not None else []
        trainings = self._erasures.trainings_until(first) if first is not None else []
        return {
            "model_versions": list(seen),
            "trainings": [{"id": str(job), "state": state} for job, state in trainings],
            "transfers": [str(job) for job in self._erasures.transfers(keep_s=self._transfers_kept_s)],
        }

    def erase_late_answers(self, number: int, user_id: str, *, until: datetime) -> ErasureRead:
        """Remove answers that were given before the erasure and written down after it."""
        late = delete(AnswerRow).where(
            AnswerRow.project_id == self._project, AnswerRow.user_id == user_id, AnswerRow.at <= until
        )
        gone = self._transaction.session.scalars(late.returning(AnswerRow.id)).all()
        # Held, for a training that is published meanwhile writes into the same report.
        self._erasures.hold_report(number)
        row = self._row(number)
        if gone:
            removed = row.report["removed"]
            row.report = {**row.report, "removed": {**removed, ANSWERS: removed[ANSWERS] + len(gone)}}
        return read_erasure(row)

    def get(self, number: int, *, user_id: str | None) -> ErasureRead:
        """One report, and whether it is of this person; raises ErasureNotFound."""
        row = self._row(number)
        report = read_erasure(row)
        return report if user_id is None else report.model_copy(update={"concerns": concerns(row, user_id)})

    def _row(self, number: int) -> ErasureRow:
        row = self._erasures.get(number)
        if row is None:
            raise ErasureNotFound(number)
        return row

    def page(self, *, limit: int, cursor: str | None) -> ErasurePage:
        """Some reports, newest first."""
        before = decode_cursor(cursor, int)[0] if cursor else None
        rows = self._erasures.page(limit=limit + 1, before=before)
        shown = rows[:limit]
        return ErasurePage(
            erasures=[read_erasure(row) for row in shown],
            next_cursor=encode_cursor(shown[-1].number) if len(rows) > limit else None,
        )


def read_erasure(row: ErasureRow) -> ErasureRead:
    """A row as clients may see it: the hash stays here."""
    return ErasureRead(id=row.number, erased_at=row.created_at, **row.report)
