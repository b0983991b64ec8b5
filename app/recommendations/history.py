"""A user's newest events: from the sequence state in Redis, or from PostgreSQL when it has to be filled or is away."""

import anyio.to_thread
import structlog
from redis.exceptions import RedisError

from app.core.types import ProjectId
from app.db.session import Database
from app.events.repository import EventRepository
from app.stores.sequence_cache import RedisSequenceReader, SequenceEvent

log = structlog.get_logger(__name__)


class HistoryReader:
    """Reads the item ids of a user's newest events, oldest first.

    Args:
        database: the truth.
        cache: the copy.
        cap: most events of a user.
    """

    def __init__(self, database: Database, cache: RedisSequenceReader, *, cap: int) -> None:
        self._database = database
        self._cache = cache
        self._cap = cap

    async def read(self, project: ProjectId, user_id: str) -> list[str]:
        """One round trip to Redis on a hit; on a miss the state is filled from PostgreSQL."""
        try:
            cached = await self._cache.read(project, user_id)
            return cached if cached is not None else await self._fill(project, user_id)
        except RedisError as error:
            log.warning("sequence cache away, reading the database", error=str(error))
            return [event.item_id for event in await self._newest(project, user_id)]

    async def _fill(self, project: ProjectId, user_id: str) -> list[str]:
        token = await self._cache.lease(project, user_id)
        events = await self._newest(project, user_id)
        await self._cache.fill(project, user_id, token=token, events=events)
        return [event.item_id for event in events]

    async def _newest(self, project: ProjectId, user_id: str) -> list[SequenceEvent]:
        def query() -> list[SequenceEvent]:
            with self._database.transaction() as transaction:
                return EventRepository(transaction, project).newest(user_id, limit=self._cap)

        return await anyio.to_thread.run_sync(query)
