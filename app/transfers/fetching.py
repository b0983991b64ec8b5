"""Works off the media that items name by their address: download, check, keep, attach; each by itself."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO, cast

import structlog

from app.core.errors import CrossanError
from app.core.jobs import JobKind
from app.db.session import Database, Transaction
from app.items.fetches import Fetch, MediaFetchRepository
from app.items.intake import MediaIntake
from app.items.service import ItemService
from app.jobs.run import JobRun, JobStopped
from app.jobs.service import JobService
from app.stores.changes import ChangeFeed
from app.stores.queue import JobQueue
from app.transfers.download import Downloader, DownloadFailed

log = structlog.get_logger(__name__)

MAX_ATTEMPTS = 5
FIRST_RETRY_S = 30.0
SLICE_S = 20.0
"""After this long a job ends, and another one goes on: other projects wait seconds, not for a whole import."""
SPOOL_BYTES = 1 << 20


def retry_after_s(attempts: int) -> float:
    """How long to wait after so many attempts: 30 s, then twice as long each time."""
    return FIRST_RETRY_S * 2.0 ** (attempts - 1)


@dataclass(frozen=True)
class FetchPolicy:
    """How many at once, and which pauses between attempts."""

    parallel: int
    retry_after_s: Callable[[int], float] = retry_after_s


@dataclass(frozen=True)
class Fetcher:
    """Fetches media of projects.

    Attributes:
        database: holds the list.
        intake: checks and keeps what came.
        queue: to the encoders.
        changes: tells API processes.
        downloader: brings bytes.
        policy: how many at once, and when again.
    """

    database: Database
    intake: MediaIntake
    queue: JobQueue
    changes: ChangeFeed
    downloader: Downloader
    policy: FetchPolicy

    def run(self, run: JobRun) -> None:
        """Fetch what is due, for a slice of time, and finish the job; what has to wait is found by the sweep.

        Raises:
            JobStopped: when the job shall leave off; what is fetched stays.
        """
        until = time.monotonic() + SLICE_S
        done, is_left = 0, True
        with ThreadPoolExecutor(self.policy.parallel, thread_name_prefix="fetch") as pool:
            while is_left and (not done or time.monotonic() < until):
                run.check()
                fetches = self._claim(run)
                list(pool.map(lambda fetch: self._fetch(run, fetch), fetches))
                done, is_left = done + len(fetches), bool(fetches)
        run.check()
        with self.database.transaction() as transaction:
            if is_left:
                JobService(transaction, self.queue).ensure_waiting(run.project, JobKind.FETCH)
            run.finish(transaction, {"media": done})

    def _claim(self, run: JobRun) -> list[Fetch]:
        with self.database.transaction() as transaction:
            claimed = MediaFetchRepository(transaction, run.project).claim(job=run.id, limit=self.policy.parallel)
        return list(claimed)

    def _fetch(self, run: JobRun, fetch: Fetch) -> None:
        """One medium; whatever becomes of it, the others go on."""
        try:
            if fetch.attempts > MAX_ATTEMPTS:
                raise DownloadFailed("the worker died each time it was fetched", retry=False)
            self._bring(run, fetch)
        except JobStopped:
            self._release(run, fetch)
        except OSError:
            # Not the address's fault (a full disk, a bucket that is away): it must not count as an attempt.
            self._release(run, fetch)
            raise
        except DownloadFailed as error:
            self._failed(run, fetch, str(error), retry=error.retry)
        except CrossanError as error:
            self._failed(run, fetch, error.detail, retry=False)

    def _release(self, run: JobRun, fetch: Fetch) -> None:
        with self.database.transaction() as transaction:
            MediaFetchRepository(transaction, run.project).release([fetch], job=run.id)

    def _bring(self, run: JobRun, fetch: Fetch) -> None:
        self.intake.check_modality(fetch.modality)
        limit_bytes = self.intake.max_bytes(fetch.modality)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            file = cast(BinaryIO, spool)
            run.check()
            self.downloader.download(fetch.url, file, limit_bytes=limit_bytes, check=run.check)
            file.seek(0)
            stored = self.intake.accept(run.project, fetch.modality, file)
        with self.database.transaction() as transaction:
            self._items(transaction, run).attach_fetched(fetch, stored, job=run.id)

    def _items(self, transaction: Transaction, run: JobRun) -> ItemService:
        jobs = JobService(transaction, self.queue)
        return ItemService(transaction, run.project, jobs=jobs, intake=self.intake, changes=self.changes)

    def _failed(self, run: JobRun, fetch: Fetch, reason: str, *, retry: bool) -> None:
        again = retry and fetch.attempts < MAX_ATTEMPTS
        log.info("medium not fetched", project=run.project, fetch=fetch.id, reason=reason, again=again)
        with self.database.transaction() as transaction:
            MediaFetchRepository(transaction, run.project).conclude(
                fetch, job=run.id, error=reason, retry_s=self.policy.retry_after_s(fetch.attempts) if again else None
            )
