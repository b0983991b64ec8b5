"""User sequence states in Redis: a copy of the newest events that may be lost at any moment and never answers wrongly.

A state is a sorted set: member = 8-byte event number + item id, score = time in microseconds, so that Redis keeps the
same order as PostgreSQL's (timestamp, id). A sentinel member marks a filled state, so a user without events is a hit.

How a state stays true without a lock (b users, one reader and one writer may interleave anywhere):
- a reader that misses takes a *lease*, reads PostgreSQL, and stores what it read only if its lease still stands;
- a writer *marks* its users before its commit and *appends* after it; both break every lease, so a reader that looked
  before the commit cannot store what it saw;
- marks are counted: a writer that dies between commit and append leaves the count above zero, and while it is, no state
  of that user lives longer than `MARK_S` seconds.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.types import ProjectId

MARK_S = 30
"""Longest time between a writer's mark and its append, and the life of a lease."""
SENTINEL = b"\x00"
EVENT_NUMBER_BYTES = 8

_MARK = """
redis.call('UNLINK', KEYS[2])
redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], 2 * ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[1], 'LT')
"""

_APPEND = """
redis.call('UNLINK', KEYS[2])
local unfinished = redis.call('DECR', KEYS[3])
if unfinished <= 0 then redis.call('UNLINK', KEYS[3]) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZADD', KEYS[1], unpack(ARGV, 3))
  local surplus = redis.call('ZCARD', KEYS[1]) - 1 - tonumber(ARGV[2])
  if surplus > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 1, surplus) end
  if unfinished <= 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
end
"""

_FILL = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2])
for i = 4, #ARGV, 4000 do
  redis.call('ZADD', KEYS[1], unpack(ARGV, i, math.min(i + 3999, #ARGV)))
end
local ttl = ARGV[2]
if redis.call('EXISTS', KEYS[3]) == 1 then ttl = ARGV[3] end
redis.call('EXPIRE', KEYS[1], ttl)
return 1
"""


@dataclass(frozen=True)
class SequenceEvent:
    """One event as a state keeps it."""

    number: int
    item_id: str
    time_us: int

    @property
    def member(self) -> bytes:
        """Sorts, among equal times, as the event numbers do."""
        return self.number.to_bytes(EVENT_NUMBER_BYTES, "big") + self.item_id.encode()


def _keys(project: ProjectId, user_id: str) -> tuple[str, str, str]:
    """State, lease and mark of a user; the braces keep the three in one slot of a cluster."""
    base = f"crossan:{{{project}:{user_id}}}"
    return f"{base}:seq", f"{base}:lease", f"{base}:mark"


def _pairs(events: Iterable[SequenceEvent]) -> list[bytes | int]:
    return [field for event in events for field in (event.time_us, event.member)]


class SequenceWriter(Protocol):
    """What a committing writer tells the cache."""

    def mark(self, project: ProjectId, users: Iterable[str]) -> None:
        """These users' events are about to change."""

    def append(self, project: ProjectId, events: Mapping[str, Sequence[SequenceEvent]]) -> None:
        """These events are committed."""


class RedisSequenceWriter:
    """The writing side, for the synchronous services.

    Args:
        redis: a connection pool.
        cap: most recent events kept of a user.
        ttl_s: life of a state that is neither read from PostgreSQL nor appended to.
    """

    def __init__(self, redis: Redis, *, cap: int, ttl_s: int) -> None:
        self._redis = redis
        self._cap = cap
        self._ttl_s = ttl_s
        self._mark = redis.register_script(_MARK)
        self._append = redis.register_script(_APPEND)

    def mark(self, project: ProjectId, users: Iterable[str]) -> None:
        """Break leases and bound the life of the present states."""
        with self._redis.pipeline(transaction=False) as pipe:
            for user in users:
                self._mark(keys=_keys(project, user), args=[MARK_S], client=pipe)
            pipe.execute()

    def append(self, project: ProjectId, events: Mapping[str, Sequence[SequenceEvent]]) -> None:
        """Add to the states that exist, in the right order whatever the order of arrival."""
        with self._redis.pipeline(transaction=False) as pipe:
            for user, added in events.items():
                self._append(keys=_keys(project, user), args=[self._ttl_s, self._cap, *_pairs(added)], client=pipe)
            pipe.execute()


class RedisSequenceReader:
    """The reading side, on the hot path: one round trip for a hit."""

    def __init__(self, redis: AsyncRedis, *, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_s = ttl_s
        self._fill = redis.register_script(_FILL)

    async def read(self, project: ProjectId, user_id: str) -> list[str] | None:
        """Item ids of the user's newest events, oldest first; None when the state has to be filled."""
        members = cast(list[bytes], await self._redis.zrange(_keys(project, user_id)[0], 0, -1))
        if not members:
            return None
        return [member[EVENT_NUMBER_BYTES:].decode() for member in members[1:]]

    async def lease(self, project: ProjectId, user_id: str) -> str:
        """Take the right to fill the state; call it before reading PostgreSQL."""
        token = secrets.token_hex(8)
        await self._redis.set(_keys(project, user_id)[1], token, ex=MARK_S)
        return token

    async def fill(self, project: ProjectId, user_id: str, *, token: str, events: Sequence[SequenceEvent]) -> bool:
        """Store what PostgreSQL said, unless a writer came in between; says whether it was stored."""
        args: list[str | int | bytes] = [token, self._ttl_s, MARK_S, "-inf", SENTINEL, *_pairs(events)]
        return bool(await self._fill(keys=_keys(project, user_id), args=args))


class MemorySequenceWriter:
    """The twin for unit tests of services: remembers the calls."""

    def __init__(self) -> None:
        self.marked: list[str] = []
        self.appended: dict[str, list[SequenceEvent]] = {}

    def mark(self, project: ProjectId, users: Iterable[str]) -> None:
        """Remember the users."""
        self.marked.extend(users)

    def append(self, project: ProjectId, events: Mapping[str, Sequence[SequenceEvent]]) -> None:
        """Remember the events."""
        for user, added in events.items():
            self.appended.setdefault(user, []).extend(added)
