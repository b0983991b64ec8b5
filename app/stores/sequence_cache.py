"""User sequence states in Redis: a copy of the newest events that may be lost at any moment and never answers wrongly.

A state is a sorted set: member = event number, time, type and item id, score = time in microseconds, so that Redis
keeps the same order as PostgreSQL's (timestamp, id). A first member marks a filled state, so a user without events is a
hit. Events that the cap cuts off live on in a second sorted set, the *older* one: member = type and item id, score =
time of the last such event; the first member of the state then is another one, which says that the state is only whole
together with it.

How a state stays true without a lock (b users, one reader and one writer may interleave anywhere):
- a reader that misses takes a *lease*, reads PostgreSQL, and stores what it read only if its lease still stands;
- a writer *marks* its users before its commit and *appends* after it; both break every lease, so a reader that looked
  before the commit cannot store what it saw;
- marks are counted: a writer that dies between commit and append leaves the count above zero, and while it is, no state
  of that user lives longer than `MARK_S` seconds;
- whoever finds a cut state without its older set treats it as a miss;
- a user whose events are removed is *forgotten* before that commit and after it: what comes back in between, or in the
  next minute, lives no longer than `MARK_S` seconds, and an append drops the state instead of adding to it: what it
  would add may have been removed.

Beside the state stands what was shown to the user lately, for rotation: read in the same round trip when it is wanted.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.types import ProjectId
from app.stores.sequence_state import HEAD_BYTES, SeenItem, SequenceEvent, SequenceState

MARK_S = 30
"""Longest time between a writer's mark and its append, and the life of a lease."""
WHOLE = b"\x00"
"""First member of a state that holds every event of the user."""
CUT = b"\x01"
"""First member of a state whose older events are in the older set."""
KEYS = ("events", "lease", "mark", "older", "shown", "forgotten")
MAX_SHOWN = 10_000
"""Items remembered as shown to a user; the longest ago go first."""

_MARK = """
redis.call('UNLINK', KEYS[2])
redis.call('INCR', KEYS[3])
redis.call('EXPIRE', KEYS[3], 2 * ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[1], 'LT')
redis.call('EXPIRE', KEYS[4], ARGV[1], 'LT')
"""

_APPEND = f"""
redis.call('UNLINK', KEYS[2])
local unfinished = redis.call('DECR', KEYS[3])
if unfinished <= 0 then redis.call('UNLINK', KEYS[3]) end
if redis.call('EXISTS', KEYS[6]) == 1 then redis.call('UNLINK', KEYS[1], KEYS[4]) end
local cut = redis.call('ZSCORE', KEYS[1], '\\1')
if cut and redis.call('EXISTS', KEYS[4]) == 0 then redis.call('UNLINK', KEYS[1]) end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('ZADD', KEYS[1], unpack(ARGV, 3))
  local surplus = redis.call('ZCARD', KEYS[1]) - 1 - tonumber(ARGV[2])
  if surplus > 0 then
    local fallen = redis.call('ZRANGE', KEYS[1], 1, surplus, 'WITHSCORES')
    for i = 1, #fallen, 2 do
      redis.call('ZADD', KEYS[4], 'GT', fallen[i + 1], string.sub(fallen[i], {HEAD_BYTES + 1}))
    end
    redis.call('ZREMRANGEBYRANK', KEYS[1], 1, surplus)
    if not cut then
      redis.call('ZREM', KEYS[1], '\\0')
      redis.call('ZADD', KEYS[1], '-inf', '\\1')
      redis.call('EXPIRE', KEYS[4], redis.call('TTL', KEYS[1]))
    end
  end
  if unfinished <= 0 then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
    redis.call('EXPIRE', KEYS[4], ARGV[1])
  end
end
"""

_FILL = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[4])
local function add(key, first, last)
  for i = first, last, 4000 do
    redis.call('ZADD', key, unpack(ARGV, i, math.min(i + 3999, last)))
  end
end
local older = 4 + tonumber(ARGV[4])
add(KEYS[4], 5, older)
add(KEYS[1], older + 1, #ARGV)
local ttl = ARGV[2]
if redis.call('EXISTS', KEYS[3], KEYS[6]) > 0 then ttl = ARGV[3] end
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('EXPIRE', KEYS[4], ttl)
return 1
"""

_FORGET = """
redis.call('SET', KEYS[6], '', 'EX', 2 * ARGV[1])
redis.call('UNLINK', KEYS[2])
return redis.call('UNLINK', KEYS[1], KEYS[4], KEYS[5])
"""

_READ = """
local members = redis.call('ZRANGE', KEYS[1], 0, -1)
local older, shown = {}, {}
if members[1] == '\\1' then
  if ARGV[1] == '1' then
    older = redis.call('ZRANGE', KEYS[4], 0, -1, 'WITHSCORES')
    if #older == 0 then members = {} end
  end
end
if ARGV[2] ~= '' then shown = redis.call('ZRANGE', KEYS[5], ARGV[2], '+inf', 'BYSCORE', 'WITHSCORES') end
return {members, older, shown}
"""

_SHOW = f"""
redis.call('ZADD', KEYS[5], unpack(ARGV, 2))
redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -{MAX_SHOWN + 1})
redis.call('EXPIRE', KEYS[5], ARGV[1], 'NX')
redis.call('EXPIRE', KEYS[5], ARGV[1], 'GT')
"""


@dataclass(frozen=True)
class CachedPast:
    """What one read finds: no state when it has to be filled, and what was shown with seconds since 1970."""

    state: SequenceState | None
    shown: Mapping[str, float]


def _keys(project: ProjectId, user_id: str) -> tuple[str, ...]:
    """A user's keys, in the order of `KEYS`; the braces keep them in one slot of a cluster."""
    return tuple([f"crossan:{{{project}:{user_id}}}:{name}" for name in KEYS])


def _pairs(events: Iterable[SequenceEvent | SeenItem]) -> list[bytes | int]:
    return [field for event in events for field in (event.time_us, event.member)]


class SequenceWriter(Protocol):
    """What a committing writer tells the cache."""

    def mark(self, project: ProjectId, users: Iterable[str]) -> None:
        """These users' events are about to change."""

    def append(self, project: ProjectId, events: Mapping[str, Sequence[SequenceEvent]]) -> None:
        """These events are committed."""

    def forget(self, project: ProjectId, users: Iterable[str]) -> int:
        """Drop every key of these users; how many there were. To be called before the commit, and again after it."""


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
        self._forget = redis.register_script(_FORGET)

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

    def forget(self, project: ProjectId, users: Iterable[str]) -> int:
        """Whatever is kept of these users goes; states that come back within the next minute are short-lived."""
        with self._redis.pipeline(transaction=False) as pipe:
            for user in users:
                self._forget(keys=_keys(project, user), args=[MARK_S], client=pipe)
            removed: list[int] = pipe.execute()
        return sum(removed)


class RedisSequenceReader:
    """The reading side, on the hot path: one round trip for a hit."""

    def __init__(self, redis: AsyncRedis, *, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_s = ttl_s
        self._read = redis.register_script(_READ)
        self._fill = redis.register_script(_FILL)
        self._show = redis.register_script(_SHOW)

    async def read(
        self, project: ProjectId, user_id: str, *, older: bool = True, shown_since: float | None = None
    ) -> CachedPast:
        """What is kept of the user.

        Args:
            project: whose user.
            user_id: who.
            older: whether items that only older events have made seen are wanted.
            shown_since: also what was shown at or after this time, seconds since 1970; None for nothing.
        """
        since = "" if shown_since is None else repr(shown_since)
        found = await self._read(keys=_keys(project, user_id), args=[int(older), since])
        members, before, shown = found
        seen = [SeenItem.of(*pair) for pair in _scored(before)]
        state = SequenceState(members[1:], seen) if members else None
        return CachedPast(state, {item_id.decode(): time for item_id, time in _scored(shown)})

    async def lease(self, project: ProjectId, user_id: str) -> str:
        """Take the right to fill the state; call it before reading PostgreSQL."""
        token = secrets.token_hex(8)
        await self._redis.set(_keys(project, user_id)[1], token, ex=MARK_S)
        return token

    async def fill(self, project: ProjectId, user_id: str, *, token: str, state: SequenceState) -> bool:
        """Store what PostgreSQL said, unless a writer came in between; says whether it was stored."""
        first = CUT if state.older else WHOLE
        older, events = _pairs(state.older), _pairs(state.events)
        args = [token, self._ttl_s, MARK_S, len(older), *older, "-inf", first, *events]
        return bool(await self._fill(keys=_keys(project, user_id), args=args))

    async def show(
        self, project: ProjectId, user_id: str, item_ids: Sequence[str], *, now: float, keep_s: float
    ) -> None:
        """Remember that these items were shown at `now`, for `keep_s` seconds at least."""
        if item_ids:
            pairs = [field for item_id in item_ids for field in (repr(now), item_id)]
            await self._show(keys=_keys(project, user_id), args=[int(keep_s) + 1, *pairs])


def _scored(reply: Sequence[bytes]) -> Iterator[tuple[bytes, float]]:
    """Members with their scores, from a reply that has them in turn."""
    return zip(reply[::2], map(float, reply[1::2]), strict=True)


class MemorySequenceWriter:
    """The twin for unit tests of services: remembers the calls."""

    def __init__(self) -> None:
        self.marked: list[str] = []
        self.appended: dict[str, list[SequenceEvent]] = {}
        self.forgotten: list[str] = []

    def mark(self, project: ProjectId, users: Iterable[str]) -> None:
        """Remember the users."""
        self.marked.extend(users)

    def append(self, project: ProjectId, events: Mapping[str, Sequence[SequenceEvent]]) -> None:
        """Remember the events."""
        for user, added in events.items():
            self.appended.setdefault(user, []).extend(added)

    def forget(self, project: ProjectId, users: Iterable[str]) -> int:
        """Remember the users."""
        self.forgotten.extend(users)
        return 0
