"""One claimed job in a worker: its heartbeat, its reasons to stop, and its end."""

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import CrossanError
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Database, Transaction
from app.db.tables import JobRow
from app.jobs.ending import JobEnding, OnEnd, tell_nobody
from app.jobs.follow import followed
from app.jobs.repository import JobRepository

log = structlog.get_logger(__name__)

ERROR_CHARACTERS = 2_000


class JobStopped(Exception):
    """The work left off on request; `JobRun` knows why."""


class JobInterrupted(Exception):
    """Something killed a part of the work: the sweep takes the job up again, as if the worker had died."""


class JobRun:
    """A job this process owns, as a context that beats until it is left.

    Args:
        database: where the row lives.
        row: the claimed row.
        heartbeat_s: seconds between beats.
        shutting_down: set when the process wants to end.
        on_end: called in the transaction in which the job ends.
    """

    def __init__(
        self,
        database: Database,
        row: JobRow,
        *,
        heartbeat_s: float,
        shutting_down: threading.Event,
        on_end: OnEnd = tell_nobody,
    ) -> None:
        self.id: UUID = row.id
        self.kind = JobKind(row.kind)
        self.project = ProjectId(row.project_id)
        self.payload: Mapping[str, Any] = row.payload
        self.progress: Mapping[str, Any] | None = row.progress
        self._attempt = row.attempts
        self._database = database
        self._heartbeat_s = heartbeat_s
        self._shutting_down = shutting_down
        self._on_end = on_end
        self._cancelled = threading.Event()
        self._lost = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{row.id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(self._heartbeat_s):
            try:
                with self._database.transaction() as transaction:
                    cancel = JobRepository(transaction).beat(self.id, self._attempt)
            except SQLAlchemyError as error:
                log.warning("heartbeat failed", job=str(self.id), error=str(error))
                continue
            if cancel is None:
                self._lost.set()
                return
            if cancel:
                self._cancelled.set()

    def should_stop(self) -> bool:
        """Whether the work shall leave off: cancelled, taken away, or the process ends."""
        return self._cancelled.is_set() or self._lost.is_set() or self._shutting_down.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the work any more."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise JobStopped if the work shall leave off."""
        if self.should_stop():
            raise JobStopped

    def record_progress(self, progress: Mapping[str, Any]) -> None:
        """Show how far the work is; a database that is away for a moment does not end hours of work."""
        try:
            with self._database.transaction() as transaction:
                JobRepository(transaction).record_progress(self.id, self._attempt, progress)
        except SQLAlchemyError as error:
            log.warning("progress not recorded", job=str(self.id), error=str(error))

    def record_within(self, transaction: Transaction, progress: Mapping[str, Any]) -> None:
        """Show how far the work is in the transaction that did it; raises JobStopped if the job is no longer ours."""
        if not JobRepository(transaction).record_progress(self.id, self._attempt, progress):
            self._lost.set()
            raise JobStopped

    def hold(self, transaction: Transaction) -> None:
        """Keep the job from being taken over until the transaction ends; raises JobStopped if it is too late."""
        cancel = JobRepository(transaction).beat(self.id, self._attempt)
        if cancel is None:
            self._lost.set()
        elif cancel:
            self._cancelled.set()
        self.check()

    def finish(self, transaction: Transaction, result: Mapping[str, Any] | None) -> None:
        """Succeed in the same transaction as the work's effect; raises JobStopped if the job is no longer ours."""
        if not self._end(transaction, JobState.SUCCEEDED, result=result):
            self._lost.set()
            raise JobStopped

    def fail(self, reason: str) -> None:
        """End without success; of the reason, which may quote a file, as much is kept as a row can hold."""
        error = reason[:ERROR_CHARACTERS].replace("\x00", "\ufffd").encode(errors="replace").decode()
        with self._database.transaction() as transaction:
            self._end(transaction, JobState.FAILED, error=error)

    def _end(
        self,
        transaction: Transaction,
        state: JobState,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> bool:
        """End the job if it is still ours, and tell who has to know."""
        ended = JobRepository(transaction).finish(self.id, self._attempt, state, result=result, error=error)
        if ended:
            self._on_end(transaction, JobEnding(self.id, self.project, self.kind, state, result, error))
        return ended

    def leave_off(self) -> None:
        """Settle the row after JobStopped: cancelled, or given back for the next worker."""
        with self._database.transaction() as transaction:
            jobs = JobRepository(transaction)
            if self._cancelled.is_set():
                self._end(transaction, JobState.CANCELLED)
            elif self._lost.is_set():
                return
            elif self.kind.coalesces:
                # Another of its kind may wait already (at most one may): that one goes on.
                jobs.finish(self.id, self._attempt, JobState.CANCELLED, error="The worker ended; another job goes on.")
                jobs.add_waiting(self.project, self.kind, sent=False)
            else:
                jobs.release(self.id, self._attempt, keep_progress=self.kind.resumes)


def run_job(
    database: Database,
    job_id: UUID,
    work: Callable[[JobRun], None],
    *,
    heartbeat_s: float,
    shutting_down: threading.Event,
    on_end: OnEnd = tell_nobody,
) -> None:
    """Claim the job and do its work once, whatever the number of messages that name it.

    `work` ends the job itself (`JobRun.finish`) or raises. An expected error becomes the job's error; any other one is
    recorded and raised on, for the log of the worker. `on_end` is called in the transaction in which the job ends.
    """
    with database.transaction() as transaction:
        row = JobRepository(transaction).claim(job_id)
    if row is None:
        return
    with (
        followed(row),
        JobRun(database, row, heartbeat_s=heartbeat_s, shutting_down=shutting_down, on_end=on_end) as run,
    ):
        try:
            work(run)
        except JobStopped:
            run.leave_off()
        except CrossanError as error:
            run.fail(error.detail)
        except (OperationalError, PoolTimeout, JobInterrupted):
            # The database was away or busy, or a process was killed: without a heartbeat the sweep takes the job up.
            raise
        except Exception as error:
            run.fail(f"{type(error).__name__}: {error}")
            raise
