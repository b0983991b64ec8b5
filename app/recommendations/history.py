"""A user's past: as remembered while Redis says it is the same, else from Redis, else from PostgreSQL."""

import time
from collections.abc import Mapping
from typing import NamedTuple

import anyio.to_thread
import structlog
from redis.exceptions import RedisError

from app.core.types import ProjectId
from app.db.session import Database
from app.events.repository import EventRepository
from app.recommendations.memory import RememberedPast
from app.recommendations.remembered_users import RememberedUser, RememberedUsers
from app.stores.sequence_cache import RedisSequenceReader
from app.stores.sequence_state import SequenceState
from app.telemetry.metrics import SEQUENCE_CACHE

log = structlog.get_logger(__name__)

_REMEMBERED, _HIT, _MISS, _AWAY = (SEQUENCE_CACHE.labels(one) for one in ("remembered", "hit", "miss", "away"))


class FoundPast(NamedTuple):
    """A user's past, and what was shown lately with seconds since 1970."""

    past: RememberedPast
    shown: Mapping[str, float]

    @property
    def state(self) -> SequenceState:
        """The past as it is kept."""
        return self.past.state


class HistoryReader:
    """Reads a user's newest events, what older ones have made seen, and what was shown lately.

    Args:
        database: the truth.
        cache: the copy.
        cap: most events of a user that are kept in order.
        users: most users that this process remembers.
    """

    def __init__(self, database: Database, cache: RedisSequenceReader, *, cap: int, users: int = 0) -> None:
        self._database = database
        self._cache = cache
        self._cap = cap
        self._users = RememberedUsers(users)

    async def read(
        self, project: ProjectId, user_id: str, *, older: bool = True, shown_since: float | None = None
    ) -> FoundPast:
        """One round trip to Redis on a hit; on a miss the state is filled from PostgreSQL.

        Args:
            project: whose user.
            user_id: who.
            older: whether items that only older events have made seen are wanted.
            shown_since: also what was shown since then, seconds since 1970; None for nothing.
        """
        known = self._users.find(project, user_id, older=older)
        try:
            cached = await self._cache.read(
                project, user_id, older=older, shown_since=shown_since, known=b"" if known is None else known.version
            )
            if cached.unchanged and known is not None:
                _REMEMBERED.inc()
                return FoundPast(known.past, cached.shown)
            if cached.state is not None:
                _HIT.inc()
                past = self._remember(project, user_id, cached.state, version=cached.version, has_older=older)
                return FoundPast(past, cached.shown)
            _MISS.inc()
            return FoundPast(await self._fill(project, user_id), cached.shown)
        except RedisError as error:
            _AWAY.inc()
            log.warning("sequence cache away, reading the database", error=str(error))
            return FoundPast(RememberedPast(await self._newest(project, user_id)), {})

    def _remember(
        self, project: ProjectId, user_id: str, state: SequenceState, *, version: bytes, has_older: bool
    ) -> RememberedPast:
        past = RememberedPast(state)
        if version:
            self._users.keep(project, user_id, RememberedUser(version, has_older, past, time.monotonic()))
        return past

    def forget(self, project: ProjectId, user_id: str) -> None:
        """Remember nothing of a user."""
        self._users.forget(project, user_id)

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

    async def _fill(self, project: ProjectId, user_id: str) -> RememberedPast:
        token = await self._cache.lease(project, user_id)
        state = await self._newest(project, user_id)
        is_stored = await self._cache.fill(project, user_id, token=token, state=state)
        return self._remember(project, user_id, state, version=token.encode() if is_stored else b"", has_older=True)

    async def _newest(self, project: ProjectId, user_id: str) -> SequenceState:
        def query() -> SequenceState:
            with self._database.transaction() as transaction:
                return EventRepository(transaction, project).past(user_id, limit=self._cap)

        return await anyio.to_thread.run_sync(query)
