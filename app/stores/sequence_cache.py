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

Each change gives a state a new *version*, a token that no two states share: a reader that remembers a state names its
version, and gets nothing but the version again where nothing has changed.

Beside the state stands what was shown to the user lately, for rotation: read in the same round trip when it is wanted.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from redis import Redis

from app.core.types import ProjectId
from app.stores import sequence_scripts as scripts
from app.stores.pipelined_redis import Commands, Script
from app.stores.script_calls import ScriptCalls
from app.stores.sequence_scripts import KEYS, MAX_SHOWN
from app.stores.sequence_state import SeenItem, SequenceEvent, SequenceState

__all__ = [
    "MARK_S",
    "MAX_SHOWN",
    "CachedPast",
    "MemorySequenceWriter",
    "RedisSequenceReader",
    "RedisSequenceWriter",
    "SequenceWriter",
]

MARK_S = 30
"""Longest time between a writer's mark and its append, and the life of a lease."""
WHOLE = b"\x00"
"""First member of a state that holds every event of the user."""
CUT = b"\x01"
"""First member of a state whose older events are in the older set."""
VERSION_BYTES = 8


class CachedPast(NamedTuple):
    """What one read finds.

    Attributes:
        state: None when it has to be filled, or is the one that the reader remembers.
        shown: items that were shown lately, with seconds since 1970.
        version: of the state; empty when it has none and had better not be remembered.
        unchanged: whether the state is the one of the version that the reader named.
    """

    state: SequenceState | None
    shown: Mapping[str, float]
    version: bytes = b""
    unchanged: bool = False


def _keys(project: ProjectId, user_id: str) -> tuple[str, ...]:
    """A user's keys, in the order of `KEYS`; the braces keep them in one slot of a cluster."""
    user = f"crossan:{{{project}:{user_id}}}:"
    return tuple([user + name for name in KEYS])


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
        self._cap = cap
        self._ttl_s = ttl_s
        self._mark = ScriptCalls(redis, scripts.MARK)
        self._append = ScriptCalls(redis, scripts.APPEND)
        self._forget = ScriptCalls(redis, scripts.FORGET)

    def mark(self, project: ProjectId, users: Iterable[str]) -> None:
        """Break leases and bound the life of the present states."""
        self._mark((_keys(project, user), (MARK_S,)) for user in users)

    def append(self, project: ProjectId, events: Mapping[str, Sequence[SequenceEvent]]) -> None:
        """Add to the states that exist, in the right order whatever the order of arrival."""
        version = secrets.token_bytes(VERSION_BYTES)
        settings = (self._ttl_s, self._cap, version)
        self._append((_keys(project, user), (*settings, *_pairs(added))) for user, added in events.items())

    def forget(self, project: ProjectId, users: Iterable[str]) -> int:
        """Whatever is kept of these users goes; states that come back within the next minute are short-lived."""
        return sum(self._forget((_keys(project, user), (MARK_S,)) for user in users))


class RedisSequenceReader:
    """The reading side, on the hot path: one round trip for a hit."""

    def __init__(self, redis: Commands, *, ttl_s: int) -> None:
        self._redis = redis
        self._ttl_s = ttl_s
        self._read = Script(redis, scripts.READ)
        self._fill = Script(redis, scripts.FILL)
        self._show = Script(redis, scripts.SHOW)

    async def read(
        self,
        project: ProjectId,
        user_id: str,
        *,
        older: bool = True,
        shown_since: float | None = None,
        known: bytes = b"",
    ) -> CachedPast:
        """What is kept of the user.

        Args:
            project: whose user.
            user_id: who.
            older: whether items that only older events have made seen are wanted.
            shown_since: also what was shown at or after this time, seconds since 1970; None for nothing.
            known: version of the state that the caller remembers; empty for none.
        """
        since = "" if shown_since is None else repr(shown_since)
        reply = await self._read(_keys(project, user_id), [int(older), since, known])
        version, is_told, heads, tails, before, shown = reply
        return CachedPast(
            SequenceState(heads, tails, [SeenItem.of(*pair) for pair in _scored(before)]) if is_told else None,
            {item_id.decode(): time for item_id, time in _scored(shown)},
            version,
            unchanged=bool(version) and not is_told,
        )

    async def lease(self, project: ProjectId, user_id: str) -> str:
        """Take the right to fill the state; call it before reading PostgreSQL."""
        token = secrets.token_hex(8)
        await self._redis.execute_command("SET", _keys(project, user_id)[1], token, "EX", MARK_S)
        return token

    async def fill(self, project: ProjectId, user_id: str, *, token: str, state: SequenceState) -> bool:
        """Store what PostgreSQL said, unless a writer came in between; whether it was. The token is its version."""
        first = CUT if state.older else WHOLE
        older, events = _pairs(state.older), _pairs(state.events)
        args = [token, self._ttl_s, MARK_S, len(older), *older, "-inf", first, *events]
        return bool(await self._fill(_keys(project, user_id), args))

    async def show(
        self, project: ProjectId, user_id: str, item_ids: Sequence[str], *, now: float, keep_s: float
    ) -> None:
        """Remember that these items were shown at `now`, for `keep_s` seconds at least."""
        if item_ids:
            pairs = [field for item_id in item_ids for field in (repr(now), item_id)]
            await self._show(_keys(project, user_id), [int(keep_s) + 1, *pairs])


def _scored(reply: Sequence[bytes]) -> Iterable[tuple[bytes, float]]:
    """Members with their scores, from a reply that has them in turn."""
    return zip(reply[::2], map(float, reply[1::2]), strict=True) if reply else ()


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
