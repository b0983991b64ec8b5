"""The work list of one modality: filled once, and encoded again and again as a worker does it."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import text

from app.context import Context, build_context
from app.core.config import Settings
from app.core.jobs import JobKind
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import JobRow
from app.items.encoding import EncodingService, FrozenEncoder
from app.items.schemas import ItemFields
from app.items.service import ItemService
from app.jobs.run import JobRun, run_job
from app.jobs.service import JobService
from app.projects.service import ProjectService
from app.stores.queue import JobQueue
from worker.encoders import DecodingPool


class NotEncoded(Exception):
    """Some contents have failed; the message says how many, and why the first one did."""


class SilentQueue:
    """Takes jobs and sends no message: the bench does them itself."""

    def send(self, job: Any) -> None:
        """Nothing."""


class Worker:
    """A worker's encoding service on its own, without Celery.

    Args:
        settings: of a service that runs.
        encoders: that it has, by modality.
    """

    def __init__(self, settings: Settings, encoders: Mapping[str, FrozenEncoder]) -> None:
        self.context: Context = build_context(settings)
        self._pool = DecodingPool(settings)
        self._queue = cast(JobQueue, SilentQueue())
        with self.context.database.transaction() as transaction:
            self._project: ProjectId = ProjectService(transaction).ensure_project("default")
        self._service = EncodingService(
            self.context.database,
            self.context.blobs,
            self.context.features,
            encoders=encoders,
            decode=self._pool.decode,
            batch=settings.encode_batch,
        )
        self._service.register(self._queue)

    def upload(self, modality: str, contents: Sequence[bytes], folder: Path) -> None:
        """An item for each content."""
        for number, content in enumerate(contents):
            path = folder / "upload"
            path.write_bytes(content)
            with self.context.database.transaction() as transaction, path.open("rb") as file:
                items = ItemService(
                    transaction,
                    self._project,
                    jobs=JobService(transaction, self._queue),
                    intake=self.context.intake,
                    changes=self.context.changes,
                )
                stored = self.context.intake.accept(self._project, modality, file)
                items.put(f"{modality} {number}", ItemFields(), {modality: stored})

    def encode_all(self, modality: str) -> None:
        """Encode every content of the modality anew, until the last state is stored; raises NotEncoded."""
        with self.context.database.transaction() as transaction:
            self._forget(transaction, modality)
        while (job := self._waiting()) is not None:
            run_job(self.context.database, job.id, self._encode, heartbeat_s=10.0, shutting_down=threading.Event())
        self._check(modality)

    def close(self) -> None:
        """End the processes that decode, and give connections back."""
        self._pool.close()
        self.context.close()

    def _encode(self, run: JobRun) -> None:
        progress = self._service.encode_pending(run, after_batch=lambda: None)
        self._service.conclude(run, progress, self._queue)

    def _forget(self, transaction: Transaction, modality: str) -> None:
        execute = transaction.session.execute
        execute(text("DELETE FROM hidden_states WHERE modality = :modality"), {"modality": modality})
        execute(text("UPDATE media SET state = 'pending' WHERE modality = :modality"), {"modality": modality})
        JobService(transaction, self._queue).ensure_waiting(self._project, JobKind.ENCODE)

    def _waiting(self) -> JobRow | None:
        with self.context.database.transaction() as transaction:
            query = text("SELECT id FROM jobs WHERE state = 'queued' AND kind = 'encode' ORDER BY created_at LIMIT 1")
            found = transaction.session.scalars(query).one_or_none()
            return None if found is None else transaction.session.get(JobRow, found)

    def _check(self, modality: str) -> None:
        query = text("SELECT count(*), min(error) FROM hidden_states WHERE modality = :modality AND state <> 'encoded'")
        with self.context.database.transaction() as transaction:
            failed, why = transaction.session.execute(query, {"modality": modality}).one()
        if failed:
            raise NotEncoded(f"{failed} {modality} contents were not encoded: {why}")
