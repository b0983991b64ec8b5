"""A user's past: from the sequence state in Redis, or from PostgreSQL when it has to be filled or is away."""

from collections.abc import Mapping

import anyio.to_thread
import structlog
from redis.exceptions import RedisError

from app.core.types import ProjectId
from app.db.session import Database
from app.events.repository import EventRepository
from app.stores.sequence_cache import CachedPast, RedisSequenceReader
from app.stores.sequence_state import SequenceState
from app.telemetry.metrics import SEQUENCE_CACHE

log = structlog.get_logger(__name__)

_HIT, _MISS, _AWAY = (SEQUENCE_CACHE.labels(result) for result in ("hit", "miss", "away"))


class HistoryReader:
    """Reads a user's newest events, what older ones have made seen, and what was shown lately.

    Args:
        database: the truth.
        cache: the copy.
        cap: most events of a user that are kept in order.
    """

    def __init__(self, database: Database, cache: RedisSequenceReader, *, cap: int) -> None:
        self._database = database
        self._cache = cache
        self._cap = cap

    async def read(
        self, project: ProjectId, user_id: str, *, older: bool = True, shown_since: float | None = None
    ) -> CachedPast:
        """One round trip to Redis on a hit; on a miss the state is filled from PostgreSQL.

        Args:
            project: whose user.
            user_id: who.
            older: whether items that only older events have made seen are wanted.
            shown_since: also what was shown since then, seconds since 1970; None for nothing.
        """
        try:
            cached = await self._cache.read(project, user_id, older=older, shown_since=shown_since)
            if cached.state is not None:
                _HIT.inc()
                return cached
            _MISS.inc()
            return CachedPast(await self._fill(project, user_id), cached.shown)
        except RedisError as error:
            _AWAY.inc()
            log.warning("sequence cache away, reading the database", error=str(error))
            return CachedPast(await self._newest(project, user_id), {})

    async def shown(self, project: ProjectId, key: str, *, since: float) -> Mapping[str, float]:
        """What was shown since then to somebody without events of their own, such as a session, with the times."""
        try:
            return (await self._cache.read(project, key, older=False, shown_since=since)).shown
        except RedisError as error:
            log.warning("sequence cache away, nothing rotates", error=str(error))
            return {}

    async def show(self, project: ProjectId, user_id: str, item_ids: list[str], *, now: float, keep_s: float) -> None:
        """Remember what is about to be shown; without a cache nothing rotates."""
        try:
            await self._cache.show(project, user_id, item_ids, now=now, keep_s=keep_s)
        except RedisError as error:
            log.warning("sequence cache away, shown items not remembered", error=str(error))

    async def _fill(self, project: ProjectId, user_id: str) -> SequenceState:
        token = await self._cache.lease(project, user_id)
        state = await self._newest(project, user_id)
        await self._cache.fill(project, user_id, token=token, state=state)
        return state

    async def _newest(self, project: ProjectId, user_id: str) -> SequenceState:
        def query() -> SequenceState:
            with self._database.transaction() as transaction:
                return EventRepository(transaction, project).past(user_id, limit=self._cap)

        return await anyio.to_thread.run_sync(query)
