"""Works out users and their candidates for all requests that wait, together: several at once cost far less than apart.

Nobody waits for company: who comes when nothing is being worked out is served in the same turn of the loop, with all
who came in that turn; who comes while a thread is busy is served with all the others when it is done.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from app.recommendations.catalogue import Catalogue
from app.recommendations.memory import RememberedPast, UserVector
from app.recommendations.options import RankingOptions
from app.recommendations.reranking import pool_size
from app.recommendations.served import ServedVersion
from app.recommendations.shortlist import shortlists
from app.telemetry.metrics import STAGE_SECONDS

_ENCODE_SECONDS = STAGE_SECONDS.labels("encode")
"""From the wish to know a user to the vector and the candidates, waiting included; not observed where all is known."""

log = structlog.get_logger(__name__)

MAX_TOGETHER = 32
INLINE_BYTES = 4 << 20
"""Item vectors of up to so many bytes are searched in the loop: to hand them to a thread would take as long."""
FEWEST = 32
"""Shortest shortlist."""
LONGEST = 1_024
"""Longer ones cost as much as a look at every row."""


@dataclass
class Wanted:
    """What one request wants to know of one user.

    Attributes:
        past: takes what is found.
        catalogue: of the items.
        sequence: rows of the items that make the user [s].
        count: candidates wanted, 0 for none.
        done: set when it is there.
    """

    past: RememberedPast
    catalogue: Catalogue
    sequence: NDArray[np.intp]
    count: int
    done: asyncio.Future[None]


@dataclass
class _Queue:
    """Who waits for one version."""

    version: ServedVersion
    waiting: list[Wanted] = field(default_factory=list)
    is_scheduled: bool = False


@dataclass(frozen=True)
class _Found:
    """Users [b, d], the revision of the vectors that they were made from, and candidates [b, k] if any were wanted."""

    users: NDArray[np.float32]
    revision: int
    rows: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None


class MicroBatcher:
    """Fills the memories of users, in batches, for one API process."""

    def __init__(self) -> None:
        self._queues: dict[int, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def prepare(self, version: ServedVersion, catalogue: Catalogue, past: RememberedPast, count: int) -> None:
        """Return when the memory holds the user's vector, if there can be one, and candidates if some are wanted.

        Args:
            version: what makes the user, and scores the items.
            catalogue: the items.
            past: is filled.
            count: candidates wanted, 0 for none.
        """
        sequence = past.sequence(catalogue, version.vectors, longest=version.max_length)
        if not len(sequence):
            return
        if version.index is None:
            count = 0
        if _is_known(version, past, sequence, count):
            return
        loop = asyncio.get_running_loop()
        wanted = Wanted(past, catalogue, sequence, count, loop.create_future())
        queue = self._queues.setdefault(id(version), _Queue(version))
        queue.waiting.append(wanted)
        if not queue.is_scheduled:
            queue.is_scheduled = True
            loop.call_soon(self._serve, queue)
        started = time.perf_counter()
        await wanted.done
        _ENCODE_SECONDS.observe(time.perf_counter() - started)

    def _serve(self, queue: _Queue) -> None:
        """Take those who wait, in the loop or in a thread."""
        index = queue.version.index
        if queue.version.vectors.values.nbytes <= INLINE_BYTES and not (index is not None and index.waits):
            while queue.waiting:
                self._work_inline(queue)
            self._end(queue)
        else:
            task = asyncio.create_task(self._work_in_thread(queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _work_inline(self, queue: _Queue) -> None:
        batch = _take(queue)
        try:
            _settle(queue.version, batch, _work_out(queue.version, batch))
        except Exception as error:
            _give_up(batch, error)

    async def _work_in_thread(self, queue: _Queue) -> None:
        loop = asyncio.get_running_loop()
        try:
            while queue.waiting:
                batch = _take(queue)
                try:
                    _settle(queue.version, batch, await loop.run_in_executor(None, _work_out, queue.version, batch))
                except Exception as error:
                    _give_up(batch, error)
        finally:
            self._end(queue)

    def _end(self, queue: _Queue) -> None:
        self._queues.pop(id(queue.version), None)


def candidates_wanted(options: RankingOptions, past: RememberedPast) -> int:
    """Candidates that are enough for a page even if all that the user has seen are among them; 0 where none help."""
    if options.freshness_weight or options.filter or options.categories or options.include:
        # A look at every row is needed, or at those few that are let through.
        return 0
    enough = pool_size(options) + past.state.count + len(past.state.older)
    return min(max(FEWEST, 1 << (enough - 1).bit_length()), LONGEST)


def _is_known(version: ServedVersion, past: RememberedPast, sequence: NDArray[np.intp], count: int) -> bool:
    user = past.user(version.vectors, sequence)
    if user is None:
        return False
    shortlist = past.shortlist(version.vectors, user)
    return not count or (shortlist is not None and shortlist.reaches(count))


def _take(queue: _Queue) -> list[Wanted]:
    batch, queue.waiting = queue.waiting[:MAX_TOGETHER], queue.waiting[MAX_TOGETHER:]
    return batch


def _work_out(version: ServedVersion, batch: Sequence[Wanted]) -> _Found:
    """Users and candidates; reads the vectors while they may be written, and says of which revision it was sure."""
    vectors = version.vectors
    revision = vectors.revision
    users = version.encode_users([vectors.values[one.sequence] for one in batch])
    count = max(one.count for one in batch)
    if not count or version.index is None:
        return _Found(users, revision, None, None)
    rows, scores = version.index.search(users, count)
    return _Found(users, revision, rows, scores)


def _settle(version: ServedVersion, batch: Sequence[Wanted], found: _Found) -> None:
    """In the loop, where vectors are written: what was made of older ones is not kept as if it were new."""
    vectors = version.vectors
    is_new = found.revision == vectors.revision and vectors.searched_by is version.index
    users = [*found.users]
    for one, user in zip(batch, users, strict=True):
        one.past.keep_user(vectors, UserVector(one.sequence, user, found.revision))
    if found.rows is not None and found.scores is not None and is_new:
        ties = batch[0].catalogue.pks
        lists = shortlists(users, found.rows, found.scores, revision=found.revision, ties=ties)
        for one, shortlist in zip(batch, lists, strict=True):
            one.past.keep_shortlist(vectors, shortlist)
    for one in batch:
        if not one.done.done():
            one.done.set_result(None)


def _give_up(batch: Iterable[Wanted], error: Exception) -> None:
    """Let each be worked out alone: what is wrong with one must not fail the others."""
    log.error("users not worked out together", exc_info=error)
    for one in batch:
        if not one.done.done():
            one.done.set_result(None)
