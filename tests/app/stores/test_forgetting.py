"""A user whose events are removed: nothing of them comes back by a late writer."""

import asyncio
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from app.core.types import ProjectId
from app.stores.sequence_cache import MARK_S, RedisSequenceReader, RedisSequenceWriter
from app.stores.sequence_state import SequenceEvent, SequenceState

ONE = ProjectId(1)
OLD, LATE = SequenceEvent(1, "old", 10, "view"), SequenceEvent(2, "late", 20, "view")


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def filled(url: str, user: str, *events: SequenceEvent, meanwhile: object = None) -> bool:
    """A reader fills the state; `meanwhile` is called while it looks at the database."""

    async def fill() -> bool:
        async with AsyncRedis.from_url(url) as client:
            reader = RedisSequenceReader(client, ttl_s=3_600)
            token = await reader.lease(ONE, user)
            if callable(meanwhile):
                meanwhile()
            return await reader.fill(ONE, user, token=token, state=SequenceState.of(events))

    return asyncio.run(fill())


def items_of(url: str, user: str) -> list[str] | None:
    async def read() -> list[str] | None:
        async with AsyncRedis.from_url(url) as client:
            state = (await RedisSequenceReader(client, ttl_s=3_600).read(ONE, user)).state
            return None if state is None else state.item_ids

    return asyncio.run(read())


def test_everything_goes_and_is_counted(redis: Redis, redis_url: str) -> None:
    writer = RedisSequenceWriter(redis, cap=10, ttl_s=3_600)
    assert filled(redis_url, "u", OLD)
    assert filled(redis_url, "v", OLD)
    assert writer.forget(ONE, ["u"]) == 1
    assert items_of(redis_url, "u") is None
    assert items_of(redis_url, "v") == ["old"]
    assert writer.forget(ONE, ["u"]) == 0


def test_a_reader_that_looked_before_cannot_store_what_it_saw(redis: Redis, redis_url: str) -> None:
    writer = RedisSequenceWriter(redis, cap=10, ttl_s=3_600)
    assert not filled(redis_url, "u", OLD, meanwhile=lambda: writer.forget(ONE, ["u"]))
    assert items_of(redis_url, "u") is None


def test_a_late_append_drops_the_state_instead_of_adding_what_is_gone(redis: Redis, redis_url: str) -> None:
    writer = RedisSequenceWriter(redis, cap=10, ttl_s=3_600)
    writer.mark(ONE, ["u"])
    writer.forget(ONE, ["u"])
    assert filled(redis_url, "u")
    writer.append(ONE, {"u": [LATE]})
    assert items_of(redis_url, "u") is None


def test_what_comes_back_is_short_lived_for_a_while(redis: Redis, redis_url: str) -> None:
    writer = RedisSequenceWriter(redis, cap=10, ttl_s=3_600)
    writer.forget(ONE, ["u"])
    assert filled(redis_url, "u")
    lives = {str(key).rpartition(":")[2].strip("'"): redis.ttl(key) for key in redis.keys("crossan:*")}
    assert 0 < lives["events"] <= MARK_S
    assert 0 < lives["forgotten"] <= 2 * MARK_S
