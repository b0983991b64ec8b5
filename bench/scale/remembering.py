"""The users: bytes that Redis holds for the sequence states of users with 50 events each."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from redis import Redis

from app.core.types import ProjectId
from app.embedded.valkey import Valkey
from app.stores.pipelined_redis import PipelinedRedis
from app.stores.sequence_cache import RedisSequenceReader
from app.stores.sequence_state import SequenceEvent, SequenceState

SIZES, QUICK_SIZES = (1_000, 10_000, 100_000), (1_000, 5_000)
EVENTS = 50
PROJECT = ProjectId(1)
TOGETHER = 500
MEMORY_BYTES = 4 << 30
START_US = 1_760_000_000_000_000


def measure_users(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One row a number of users: bytes a user, all of the server's memory counted."""
    with tempfile.TemporaryDirectory() as folder:
        valkey = Valkey(log=Path(folder) / "valkey.log", memory_bytes=MEMORY_BYTES)
        valkey.start()
        try:
            with Redis.from_url(valkey.url) as redis:
                for users in sizes:
                    yield _row(redis, valkey.url, users)
        finally:
            valkey.stop()


def _row(redis: "Redis", url: str, users: int) -> dict[str, Any]:
    redis.flushall()
    before = int(redis.info("memory")["used_memory"])
    asyncio.run(_fill(url, users))
    held = int(redis.info("memory")["used_memory"]) - before
    return {"users": users, "events_a_user": EVENTS, "keys": int(redis.dbsize()), "bytes_a_user": held / users}


async def _fill(url: str, users: int) -> None:
    """Write the states as the API does after a miss."""
    client = PipelinedRedis(url, timeout_s=60.0)
    reader = RedisSequenceReader(client, ttl_s=3_600)
    try:
        for start in range(0, users, TOGETHER):
            await asyncio.gather(*(_fill_one(reader, n) for n in range(start, min(start + TOGETHER, users))))
    finally:
        await client.aclose()


async def _fill_one(reader: RedisSequenceReader, user: int) -> None:
    first = user * EVENTS
    events = (
        SequenceEvent(first + step, f"i{(first + step * 7_919) % 100_000}", START_US + step * 60_000_000, "view")
        for step in range(EVENTS)
    )
    token = await reader.lease(PROJECT, f"u{user}")
    stored = await reader.fill(PROJECT, f"u{user}", token=token, state=SequenceState.of(events))
    assert stored
