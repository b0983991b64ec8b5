"""Removes what trainings kept for a next attempt that will not come."""

from app.core.jobs import JobKind
from app.db.session import Transaction
from app.jobs.repository import JobRepository
from app.stores.artifacts import ArtifactStore


def discard_ended(transaction: Transaction, artifacts: ArtifactStore) -> None:
    """Discard the kept folders of trainings that have ended where no worker could do it: dead, or not begun again."""
    kept = list(artifacts.kept_folders())
    if not kept:
        return
    still_open = {str(job) for job in JobRepository(transaction).open_ids(JobKind.TRAIN)}
    for name, folder in kept:
        if name not in still_open:
            artifacts.discard(folder)
