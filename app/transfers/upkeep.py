"""Removes what imports and exports have left behind, some days after their end."""

from datetime import timedelta

from sqlalchemy import delete, func, select

from app.core.jobs import JobKind
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import JobRow
from app.stores.transfers import TransferStore

AT_ONCE = 20


def discard_old(transaction: Transaction, store: TransferStore, *, older_s: float) -> None:
    """Remove the files of transfers that ended so long ago, and forget the jobs; a few at a time."""
    query = (
        select(JobRow.id, JobRow.project_id, JobRow.payload)
        .where(
            JobRow.kind.in_([JobKind.IMPORT, JobKind.EXPORT]),
            JobRow.finished_at < func.now() - timedelta(seconds=older_s),
        )
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    for job_id, project, payload in transaction.session.execute(query).all():
        store.discard(ProjectId(project), job_id)
        if payload.get("uploaded"):
            store.discard_upload(ProjectId(project), payload["path"])
        transaction.session.execute(delete(JobRow).where(JobRow.id == job_id))
