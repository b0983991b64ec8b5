"""Counts events by item, over windows of time, and remembers the counts for some seconds."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import anyio.to_thread
from sqlalchemy import text

from app.core.types import ProjectId
from app.db.repository import Repository
from app.db.session import Database

MAX_COUNTED = 10_000
"""Items of a list at most."""
REMEMBERED = 256
"""Counts kept in memory; the longest unused go first."""
MICROSECONDS = 1_000_000


class Merit(StrEnum):
    """How events count."""

    POPULAR = "popular"
    """Each event in the window counts one."""
    TRENDING = "trending"
    """Each counts half as much for every window that it is older."""


@dataclass(frozen=True)
class Question:
    """What is counted.

    Attributes:
        merit: how events count.
        window_s: the window, or the half-life, in seconds.
        types: of the events; empty: all.
        until_us: events up to this time count, in microseconds since 1970.
    """

    merit: Merit
    window_s: float
    types: tuple[str, ...]
    until_us: int


@dataclass(frozen=True)
class Counted:
    """Items by what they count, most first, and what was looked at.

    Attributes:
        item_ids: of known items, at most `MAX_COUNTED`; among equals the item that came first stands first.
        scores: of each.
        events: how many events were counted.
        since: the time of the oldest of them; None without any.
    """

    item_ids: Sequence[str]
    scores: Sequence[float]
    events: int
    since: datetime | None


_COUNT = """
WITH recent AS (
    SELECT item_id, type, timestamp FROM events
    WHERE project_id = :project AND timestamp <= :until AND timestamp > :since
    ORDER BY timestamp DESC LIMIT :most
), wanted AS (
    SELECT item_id, timestamp FROM recent WHERE :all_types OR type = ANY(:types)
), counted AS (
    SELECT item_id, {merit} AS score FROM wanted GROUP BY item_id
)
SELECT items.item_id, counted.score, (SELECT count(*) FROM wanted), (SELECT min(timestamp) FROM wanted)
FROM counted JOIN items ON items.project_id = :project AND items.item_id = counted.item_id AND items.deleted_at IS NULL
ORDER BY counted.score DESC, items.id
LIMIT :limit
"""
_MERITS = {
    Merit.POPULAR: "count(*)::float8",
    # From a thousand half-lives on it makes no difference, and PostgreSQL's exp would refuse to underflow.
    Merit.TRENDING: "sum(exp(-ln(2) * least(extract(epoch FROM :until - timestamp)::float8 / :window_s, 1000)))",
}
DECAYED_WINDOWS = 64
"""Events older than so many half-lives weigh less than one in 10^19: they are not looked at."""


class PopularityRepository(Repository):
    """The events of one project, counted."""

    def count(self, question: Question, *, most: int) -> Counted:
        """What the newest `most` events of the window come to."""
        until = datetime.fromtimestamp(question.until_us / MICROSECONDS, UTC)
        reach_s = question.window_s * (DECAYED_WINDOWS if question.merit is Merit.TRENDING else 1)
        values = {
            "project": self.project,
            "until": until,
            "since": until - timedelta(seconds=min(reach_s, question.until_us / MICROSECONDS)),
            "window_s": question.window_s,
            "types": list(question.types),
            "all_types": not question.types,
            "most": most,
            "limit": MAX_COUNTED,
        }
        rows = self.session.execute(text(_COUNT.format(merit=_MERITS[question.merit])), values).all()
        events, since = (rows[0][2], rows[0][3]) if rows else (0, None)
        return Counted([row[0] for row in rows], [row[1] for row in rows], events, since)


class PopularityCounter:
    """Answers questions from memory for a while; those who ask the same at the same time share one query.

    Args:
        database: the events.
        most: events looked at for one answer.
        keep_s: how long an answer is good, in seconds.
    """

    def __init__(self, database: Database, *, most: int, keep_s: float) -> None:
        self._database = database
        self._most = most
        self._keep_s = keep_s
        self._answers: OrderedDict[tuple[ProjectId, Question], asyncio.Task[Counted]] = OrderedDict()

    def present(self) -> int:
        """The time that questions about now are asked of, in microseconds since 1970: it steps, so that they meet."""
        now = time.time()
        return int((now - now % self._keep_s if self._keep_s else now) * MICROSECONDS)

    async def count(self, project: ProjectId, question: Question) -> Counted:
        """The answer; a question whose time has passed is answered as it was then, but for events that came late."""
        key = (project, question)
        task = self._answers.get(key)
        if task is None:
            task = self._answers[key] = asyncio.create_task(self._ask(project, question))
            task.add_done_callback(lambda done: self._forget_failure(key, done))
            while len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        else:
            self._answers.move_to_end(key)
        # One who leaves must not take the answer from the others.
        return await asyncio.shield(task)

    def _forget_failure(self, key: tuple[ProjectId, Question], task: asyncio.Task[Counted]) -> None:
        if (task.cancelled() or task.exception() is not None) and self._answers.get(key) is task:
            del self._answers[key]

    async def _ask(self, project: ProjectId, question: Question) -> Counted:
        def query() -> Counted:
            with self._database.transaction() as transaction:
                return PopularityRepository(transaction, project).count(question, most=self._most)

        return await anyio.to_thread.run_sync(query)
