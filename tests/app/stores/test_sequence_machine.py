"""Random interleavings of writers, readers, flushes, deaths and the passing of time, against a plain list."""

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.types import ProjectId
from app.stores.sequence_cache import MARK_S, RedisSequenceReader, RedisSequenceWriter
from app.stores.sequence_state import SeenItem, SequenceEvent, SequenceState

PROJECT = ProjectId(1)
USER = "u"
TTL_S = 1_000
CAP = 4
TYPES = ("view", "like")
TIMES = st.lists(st.integers(0, 6), min_size=1, max_size=3)
STATE, OLDER = (f"crossan:{{{PROJECT}:{USER}}}:{name}" for name in ("events", "older"))


@dataclass
class Writing:
    """A transaction between its mark and its append."""

    events: list[SequenceEvent]
    committed: bool = False
    unprotected: bool = False
    """Its mark has been flushed away, or was taken back by a writer whose own had been."""


@dataclass
class Reading:
    """A reader between its lease and its fill."""

    token: str
    seen: list[SequenceEvent] | None = None


@dataclass
class World:
    """The connections, shared by every run of the machine."""

    loop: asyncio.AbstractEventLoop
    redis: Redis
    reader: RedisSequenceReader
    writer: RedisSequenceWriter


class SequenceMachine(RuleBasedStateMachine):
    """PostgreSQL is `truth`; the cache must equal it, or have said that it will be gone soon."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.truth: list[SequenceEvent] = []
        self.writings: list[Writing] = []
        self.readings: list[Reading] = []
        self.numbers = 0
        self.remembered: tuple[bytes, SequenceState] | None = None
        """A version and its state, as a process keeps it."""
        self.doubt = False
        """A flush and a death fell together: the state may be wrong for as long as it lives."""
        world.redis.flushall()

    def _history(self) -> list[SequenceEvent]:
        return sorted(self.truth, key=lambda event: (event.time_us, event.number))

    @precondition(lambda self: len(self.writings) < 3)
    @rule(times=TIMES)
    def begin_write(self, times: list[int]) -> None:
        self.numbers += len(times)
        first = self.numbers - len(times) + 1
        events = [
            SequenceEvent(number, f"i{number % 5}", time_us, TYPES[number % 2])
            for number, time_us in enumerate(times, first)
        ]
        self.world.writer.mark(PROJECT, [USER])
        self.writings.append(Writing(events))

    @precondition(lambda self: any(not one.committed for one in self.writings))
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        writing = data.draw(st.sampled_from([one for one in self.writings if not one.committed]))
        self.truth.extend(writing.events)
        writing.committed = True

    @precondition(lambda self: any(one.committed for one in self.writings))
    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        writing = data.draw(st.sampled_from([one for one in self.writings if one.committed]))
        self._append(writing)

    def _append(self, writing: Writing) -> None:
        self.world.writer.append(PROJECT, {USER: writing.events})
        self.writings.remove(writing)
        if writing.unprotected:
            for other in self.writings:
                other.unprotected = True

    @precondition(lambda self: self.writings)
    @rule(data=st.data())
    def writer_dies(self, data: st.DataObject) -> None:
        writing = data.draw(st.sampled_from(self.writings))
        self.writings.remove(writing)
        self.doubt |= writing.committed and writing.unprotected

    @precondition(lambda self: len(self.readings) < 3)
    @rule()
    def begin_fill(self) -> None:
        token = self.world.loop.run_until_complete(self.world.reader.lease(PROJECT, USER))
        self.readings.append(Reading(token))

    @precondition(lambda self: any(one.seen is None for one in self.readings))
    @rule(data=st.data())
    def read_database(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from([one for one in self.readings if one.seen is None])).seen = self._history()

    @precondition(lambda self: any(one.seen is not None for one in self.readings))
    @rule(data=st.data())
    def finish_fill(self, data: st.DataObject) -> None:
        reading = data.draw(st.sampled_from([one for one in self.readings if one.seen is not None]))
        self.readings.remove(reading)
        self._fill(reading.token, reading.seen or [])

    def _fill(self, token: str, events: list[SequenceEvent]) -> None:
        state = SequenceState.of(events[-CAP:], [SeenItem(*key, time) for key, time in older_of(events).items()])
        self.world.loop.run_until_complete(self.world.reader.fill(PROJECT, USER, token=token, state=state))

    @rule(times=TIMES)
    def write_at_once(self, times: list[int]) -> None:
        """So that runs come far: most writers meet nobody."""
        self.begin_write(times)
        writing = self.writings[-1]
        self.truth.extend(writing.events)
        writing.committed = True
        self._append(writing)

    @rule()
    def fill_at_once(self) -> None:
        """The same for readers."""
        self.begin_fill()
        reading = self.readings.pop()
        self._fill(reading.token, self._history())

    @precondition(lambda self: self.numbers > 6)
    @rule()
    def flush(self) -> None:
        self.world.redis.flushall()
        self.doubt = False
        for writing in self.writings:
            writing.unprotected = True

    @precondition(lambda self: not self.writings)
    @rule()
    def time_passes(self) -> None:
        """Longer than any mark lives; readers may be as slow as they like."""
        for key in self.world.redis.keys("*"):  # type: ignore[union-attr]
            if self.world.redis.pttl(key) <= 2 * MARK_S * 1_000:  # type: ignore[operator]
                self.world.redis.delete(key)

    @precondition(lambda self: self.numbers > CAP)
    @rule()
    def evict_the_older_set(self) -> None:
        """A cache that is full may drop any one key."""
        self.world.redis.delete(OLDER)

    @rule()
    def forget(self) -> None:
        """A user is erased: before the commit, at it, and after it."""
        self.world.writer.forget(PROJECT, [USER])
        self.truth = []
        self.world.writer.forget(PROJECT, [USER])
        for reading in self.readings:
            reading.seen = None

    @invariant()
    def a_state_is_true_or_ends_soon(self) -> None:
        state = self.world.loop.run_until_complete(self.world.reader.read(PROJECT, USER)).state
        life_ms = int(self.world.redis.pttl(STATE))  # type: ignore[arg-type]
        if state is None:
            return
        assert 0 < life_ms <= TTL_S * 1_000
        in_doubt = self.doubt or any(one.committed and one.unprotected for one in self.writings)
        if not in_doubt and not self._is_true(state):
            assert life_ms <= MARK_S * 1_000

    @invariant()
    def what_is_remembered_is_what_is_kept(self) -> None:
        version, state = self.remembered or (b"", SequenceState())
        plain = self.world.loop.run_until_complete(self.world.reader.read(PROJECT, USER))
        again = self.world.loop.run_until_complete(self.world.reader.read(PROJECT, USER, known=version))
        assert (plain.unchanged, again.version) == (False, plain.version)
        assert (state if again.unchanged else again.state) == plain.state
        if plain.state is not None:
            self.remembered = plain.version, plain.state

    def _is_true(self, state: SequenceState) -> bool:
        """The newest events in order, and everything that older ones have made seen, at the time of the last one."""
        history = self._history()
        kept = {(item.item_id, item.type): item.time_us for item in state.older}
        return state.events == history[-CAP:] and kept == older_of(history)


def older_of(history: list[SequenceEvent]) -> dict[tuple[str, str], int]:
    """Items and types of the events before the newest, with the time of the last such event."""
    return {(event.item_id, event.type): event.time_us for event in history[:-CAP]}


def test_random_interleavings(redis_url: str) -> None:
    loop = asyncio.new_event_loop()
    redis = Redis.from_url(redis_url)
    async_redis = AsyncRedis.from_url(redis_url)
    world = World(
        loop,
        redis,
        RedisSequenceReader(async_redis, ttl_s=TTL_S),
        RedisSequenceWriter(redis, cap=CAP, ttl_s=TTL_S),
    )
    try:
        run_state_machine_as_test(
            lambda: SequenceMachine(world),
            settings=settings(
                max_examples=60,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                database=None,
            ),
        )
    finally:
        loop.run_until_complete(async_redis.aclose())
        loop.close()
        redis.close()
