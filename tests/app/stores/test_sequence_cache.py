import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.types import ProjectId
from app.stores.sequence_cache import (
    CUT,
    MARK_S,
    MAX_SHOWN,
    CachedPast,
    MemorySequenceWriter,
    RedisSequenceReader,
    RedisSequenceWriter,
)
from app.stores.sequence_state import SeenItem, SequenceEvent, SequenceState

ONE, TWO = ProjectId(1), ProjectId(2)
TTL_S = 1_000
CAP = 5


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def writer(redis: Redis) -> RedisSequenceWriter:
    return RedisSequenceWriter(redis, cap=CAP, ttl_s=TTL_S)


@pytest.fixture
async def reader(redis_url: str) -> AsyncIterator[RedisSequenceReader]:
    redis = AsyncRedis.from_url(redis_url)
    yield RedisSequenceReader(redis, ttl_s=TTL_S)
    await redis.aclose()


def event(number: int, time_us: int, item_id: str | None = None) -> SequenceEvent:
    return SequenceEvent(number, item_id or f"i{number}", time_us, "view")


async def fill(reader: RedisSequenceReader, *events: SequenceEvent, project: ProjectId = ONE) -> bool:
    return await reader.fill(project, "u", token=await reader.lease(project, "u"), state=state_of(*events))


def state_of(*events: SequenceEvent) -> SequenceState:
    return SequenceState.of(events)


async def items(reader: RedisSequenceReader, project: ProjectId = ONE, user: str = "u") -> list[str] | None:
    state = (await reader.read(project, user)).state
    return None if state is None else state.item_ids


def life_ms(redis: Redis, project: ProjectId = ONE) -> int:
    return redis.pttl(f"crossan:{{{project}:u}}:events")  # type: ignore[return-value]


def write(writer: RedisSequenceWriter, *events: SequenceEvent) -> None:
    writer.mark(ONE, ["u"])
    writer.append(ONE, {"u": events})


async def test_a_user_without_events_is_a_hit(reader: RedisSequenceReader) -> None:
    assert await items(reader) is None
    assert await fill(reader)
    assert await items(reader) == []


async def test_late_events_find_their_place_and_equal_times_keep_the_order_of_numbers(
    reader: RedisSequenceReader, writer: RedisSequenceWriter
) -> None:
    # 255 and 256 differ in their last byte the other way round than as numbers.
    assert await fill(reader, event(255, 10), event(256, 10))
    write(writer, event(300, 5))
    write(writer, event(301, 10), event(302, 7))
    assert await items(reader) == ["i300", "i302", "i255", "i256", "i301"]


async def test_the_cap_keeps_the_newest_and_the_sentinel(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    assert await fill(reader, *(event(n, n) for n in range(1, CAP + 1)))
    write(writer, event(9, 9), event(8, 0))
    assert await items(reader) == ["i2", "i3", "i4", "i5", "i9"]
    assert redis.zcard("crossan:{1:u}:events") == CAP + 1
    write(writer, *(event(n, n) for n in range(20, 40)))
    assert await items(reader) == [f"i{n}" for n in range(35, 40)]
    assert redis.zrange("crossan:{1:u}:events", 0, 0) == [CUT]


async def test_an_item_seen_twice_is_there_twice(reader: RedisSequenceReader, writer: RedisSequenceWriter) -> None:
    assert await fill(reader, event(1, 1, "a"))
    write(writer, event(2, 2, "a"))
    assert await items(reader) == ["a", "a"]


async def test_ids_of_any_characters(reader: RedisSequenceReader) -> None:
    ids = ["", "ü🦀", "a{b}:c", " ", "x" * 256]
    assert await fill(reader, *(event(n, n, item) for n, item in enumerate(ids[1:], 1)))
    assert await items(reader) == ids[1:]


async def test_users_and_projects_are_apart(reader: RedisSequenceReader, writer: RedisSequenceWriter) -> None:
    assert await fill(reader, event(1, 1))
    assert await fill(reader, event(2, 2), project=TWO)
    write(writer, event(3, 3))
    assert await items(reader) == ["i1", "i3"]
    assert await items(reader, TWO) == ["i2"]
    assert await items(reader, user="u}:events") is None


async def test_many_events_of_one_batch(reader: RedisSequenceReader, redis: Redis) -> None:
    events = [event(n, n) for n in range(1, 12_001)]
    assert await fill(reader, *events)
    assert await items(reader) == [one.item_id for one in events]
    large = RedisSequenceWriter(redis, cap=20_000, ttl_s=TTL_S)
    more = [event(n, n) for n in range(20_001, 21_001)]
    large.mark(ONE, ["u"])
    large.append(ONE, {"u": more})
    assert await items(reader) == [one.item_id for one in events + more]


async def test_nothing_is_appended_to_a_state_that_is_not_there(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    write(writer, event(1, 1))
    assert redis.keys("*") == []
    assert await items(reader) is None


READER_STEPS = ("lease", "read", "fill")
WRITER_STEPS = ("mark", "commit", "append")


@pytest.mark.parametrize("slots", list(itertools.combinations(range(6), 3)))
@pytest.mark.parametrize("was_filled", [False, True])
async def test_every_interleaving_of_one_reader_and_one_writer_ends_true(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis, slots: tuple[int, ...], was_filled: bool
) -> None:
    """The three steps of the reader take the given three of six places; the writer has the others."""
    truth = [event(1, 1)]
    if was_filled:
        assert await fill(reader, *truth)
    reading, writing = iter(READER_STEPS), iter(WRITER_STEPS)
    token, seen = "", list[SequenceEvent]()
    for place in range(6):
        match next(reading) if place in slots else next(writing):
            case "lease":
                token = await reader.lease(ONE, "u")
            case "read":
                seen = list(truth)
            case "fill":
                await reader.fill(ONE, "u", token=token, state=state_of(*seen))
            case "mark":
                writer.mark(ONE, ["u"])
            case "commit":
                truth.append(event(2, 2))
            case "append":
                writer.append(ONE, {"u": [event(2, 2)]})
        state = await items(reader)
        if state is not None and state != [one.item_id for one in truth]:
            assert 0 < life_ms(redis) <= MARK_S * 1_000
    assert await items(reader) in (None, ["i1", "i2"])
    assert await fill(reader, *truth)
    assert life_ms(redis) > MARK_S * 1_000, "a writer that has finished leaves no doubt behind"


async def test_a_writer_that_dies_leaves_a_state_that_ends_soon(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    assert await fill(reader, event(1, 1))
    assert life_ms(redis) > MARK_S * 1_000
    writer.mark(ONE, ["u"])  # and then it commits and dies
    assert 0 < life_ms(redis) <= MARK_S * 1_000
    assert await fill(reader, event(1, 1)), "a reader may go on all the same"
    assert 0 < life_ms(redis) <= MARK_S * 1_000
    write(writer, event(3, 3))
    assert 0 < life_ms(redis) <= MARK_S * 1_000, "another writer's success says nothing of the one that died"
    mark_ms = redis.pttl("crossan:{1:u}:mark")
    assert MARK_S * 1_000 < mark_ms <= 2 * MARK_S * 1_000  # type: ignore[operator]
    redis.delete("crossan:{1:u}:mark")  # as its time to live would
    assert await fill(reader, event(1, 1), event(2, 2), event(3, 3))
    assert life_ms(redis) > MARK_S * 1_000


async def test_of_two_writers_the_one_that_lives_does_not_clear_the_other(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    assert await fill(reader)
    writer.mark(ONE, ["u"])
    writer.mark(ONE, ["u"])
    writer.append(ONE, {"u": [event(1, 1)]})
    assert 0 < life_ms(redis) <= MARK_S * 1_000
    writer.append(ONE, {"u": [event(2, 2)]})
    assert life_ms(redis) > MARK_S * 1_000
    assert redis.exists("crossan:{1:u}:mark") == 0


async def test_a_second_reader_takes_the_lease_over(reader: RedisSequenceReader) -> None:
    first = await reader.lease(ONE, "u")
    second = await reader.lease(ONE, "u")
    assert not await reader.fill(ONE, "u", token=first, state=state_of(event(1, 1)))
    assert await reader.fill(ONE, "u", token=second, state=state_of(event(1, 1)))
    assert not await reader.fill(ONE, "u", token=second, state=state_of()), "a lease is good for one fill"


async def test_a_flush_of_data_and_scripts_is_a_miss(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    assert await fill(reader, event(1, 1))
    token = await reader.lease(ONE, "u")
    redis.flushall()
    redis.script_flush()
    assert not await reader.fill(ONE, "u", token=token, state=state_of(event(1, 1)))
    assert await items(reader) is None
    redis.script_flush()
    write(writer, event(2, 2))
    redis.script_flush()
    assert await fill(reader, event(1, 1), event(2, 2))
    assert await items(reader) == ["i1", "i2"]


async def test_what_falls_out_of_the_sequence_stays_seen(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    assert await fill(reader, *(event(n, n) for n in range(1, CAP + 1)))
    assert redis.keys("*:older") == []
    write(writer, SequenceEvent(10, "i1", 100, "like"), event(11, 101), event(12, 0, "late"))
    state = (await reader.read(ONE, "u")).state
    assert state is not None
    assert state.item_ids == ["i3", "i4", "i5", "i1", "i11"]
    assert set(state.older) == {SeenItem("i1", "view", 1), SeenItem("i2", "view", 2), SeenItem("late", "view", 0)}
    # An item that falls out a second time has the later time.
    write(writer, *(event(n, 200 + n, "i2") for n in range(20, 20 + CAP)), event(30, 300), event(31, 301))
    state = (await reader.read(ONE, "u")).state
    assert state is not None
    assert {item.item_id: item.time_us for item in state.older if item.type == "view"} == {
        "i1": 1,
        "i2": 221,
        "late": 0,
        "i3": 3,
        "i4": 4,
        "i5": 5,
        "i11": 101,
    }
    assert (await reader.read(ONE, "u", older=False)).state == SequenceState(state.heads, state.tails)
    assert 0 < redis.pttl("crossan:{1:u}:older") <= life_ms(redis) + 1_000  # type: ignore[operator]


async def test_many_older_items_of_one_fill(reader: RedisSequenceReader) -> None:
    older = [SeenItem(f"o{n}", "view", n) for n in range(12_001)]
    state = SequenceState.of([event(n, 20_000 + n) for n in range(CAP)], older)
    assert await reader.fill(ONE, "u", token=await reader.lease(ONE, "u"), state=state)
    assert (await reader.read(ONE, "u")).state == state


async def test_a_cut_state_without_its_older_set_is_a_miss(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    for is_written_first in (False, True):
        assert await fill(reader, *(event(n, n) for n in range(1, CAP + 1)))
        write(writer, event(7, 7))
        redis.delete("crossan:{1:u}:older")
        if is_written_first:
            write(writer, event(8, 8))
        assert (await reader.read(ONE, "u")).state is None


async def test_a_forgotten_user_leaves_nothing(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    assert await fill(reader, *(event(n, n) for n in range(1, CAP + 1)))
    write(writer, event(7, 7))
    await reader.show(ONE, "u", ["i1"], now=5.0, keep_s=60)
    token = await reader.lease(ONE, "u")
    assert writer.forget(ONE, ["u"]) == 3
    assert not await reader.fill(ONE, "u", token=token, state=state_of(event(1, 1)))
    assert await reader.read(ONE, "u", shown_since=0.0) == CachedPast(None, {})
    assert await fill(reader, event(1, 1)), "somebody looked before the commit"
    assert 0 < life_ms(redis) <= MARK_S * 1_000
    write(writer, event(2, 2))
    assert await items(reader) is None, "what it would add may have been removed"
    assert await fill(reader, event(1, 1))
    assert writer.forget(ONE, ["u"]) == 1
    assert redis.keys("*") == [b"crossan:{1:u}:forgotten"]


async def test_shown_items_come_with_the_state_and_go_with_time(reader: RedisSequenceReader, redis: Redis) -> None:
    assert await fill(reader, event(1, 1))
    await reader.show(ONE, "u", ["a", "b"], now=100.25, keep_s=60)
    await reader.show(ONE, "u", ["b", "c"], now=200.5, keep_s=10)
    assert await past(reader) == (state_of(event(1, 1)), {})
    assert await past(reader, shown_since=0.0) == (state_of(event(1, 1)), {"a": 100.25, "b": 200.5, "c": 200.5})
    assert (await reader.read(ONE, "u", shown_since=150.0)).shown == {"b": 200.5, "c": 200.5}
    assert (await reader.read(ONE, "nobody", shown_since=0.0)) == CachedPast(None, {})
    life_ms = redis.pttl("crossan:{1:u}:shown")
    assert 10_000 < life_ms <= 61_000, "the longest wish counts"  # type: ignore[operator]
    await reader.show(ONE, "u", [f"i{n}" for n in range(3_000)], now=300.0, keep_s=10)
    for now in range(400, 404):
        await reader.show(ONE, "u", [f"{now}-{n}" for n in range(2_000)], now=float(now), keep_s=10)
    shown = (await reader.read(ONE, "u", shown_since=0.0)).shown
    assert len(shown) == MAX_SHOWN
    assert "a" not in shown


async def past(reader: RedisSequenceReader, **options: Any) -> tuple[SequenceState | None, Mapping[str, float]]:
    found = await reader.read(ONE, "u", **options)
    return found.state, found.shown


async def test_a_state_that_is_known_is_not_sent_again(
    reader: RedisSequenceReader, writer: RedisSequenceWriter, redis: Redis
) -> None:
    assert await fill(reader, event(1, 1))
    first = await reader.read(ONE, "u")
    assert (first.state, first.unchanged) == (state_of(event(1, 1)), False)
    again = await reader.read(ONE, "u", known=first.version)
    assert (again.state, again.unchanged, again.version) == (None, True, first.version)
    assert not (await reader.read(ONE, "u", known=b"another")).unchanged

    write(writer, event(2, 2))
    changed = await reader.read(ONE, "u", known=first.version)
    assert (changed.state, changed.unchanged) == (state_of(event(1, 1), event(2, 2)), False)
    assert changed.version != first.version

    redis.delete("crossan:{1:u}:events")
    gone = await reader.read(ONE, "u", known=changed.version)
    assert (gone.state, gone.unchanged) == (None, False), "a version alone proves nothing"
    assert await fill(reader, event(1, 1))
    redis.delete("crossan:{1:u}:version")
    unnamed = await reader.read(ONE, "u")
    assert (unnamed.state, unnamed.version) == (state_of(event(1, 1)), b"")
    assert not (await reader.read(ONE, "u", known=changed.version)).unchanged


def test_the_twin_remembers() -> None:
    twin = MemorySequenceWriter()
    twin.mark(ONE, ["a", "b"])
    twin.append(ONE, {"a": [event(1, 1)]})
    twin.append(ONE, {"a": [event(2, 2)]})
    assert twin.marked == ["a", "b"]
    assert twin.appended == {"a": [event(1, 1), event(2, 2)]}
