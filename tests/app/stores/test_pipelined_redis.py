import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.stores.pipelined_redis import PipelinedRedis, Script

TIMEOUT_S = 5.0


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[PipelinedRedis]:
    one = PipelinedRedis(redis_url, timeout_s=TIMEOUT_S)
    yield one
    await one.aclose()


async def test_every_caller_gets_its_own_reply(redis: PipelinedRedis) -> None:
    replies = await asyncio.gather(*[redis.execute_command("ECHO", f"{n}") for n in range(500)])
    assert replies == [f"{n}".encode() for n in range(500)]


async def test_callers_of_one_turn_share_a_write(redis: PipelinedRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    await redis.execute_command("PING")
    writes: list[bytes] = []
    connection = "redis.asyncio.connection.AbstractConnection.send_packed_command"

    async def send(self: object, command: bytes, check_health: bool = True) -> None:
        writes.append(command)
        self._writer.write(command)  # type: ignore[attr-defined]

    monkeypatch.setattr(connection, send)
    await asyncio.gather(*[redis.execute_command("PING") for _ in range(32)])
    assert len(writes) == 1


async def test_an_error_reply_is_of_one_caller(redis: PipelinedRedis) -> None:
    before, wrong, after = await asyncio.gather(
        redis.execute_command("ECHO", "a"),
        redis.execute_command("NO-SUCH-COMMAND"),
        redis.execute_command("ECHO", "b"),
        return_exceptions=True,
    )
    assert (before, after) == (b"a", b"b")
    assert isinstance(wrong, ResponseError)


async def test_a_caller_that_leaves_does_not_shift_the_replies(redis: PipelinedRedis) -> None:
    first, *others = [asyncio.create_task(redis.execute_command("ECHO", f"{n}")) for n in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == [b"1", b"2"]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_after_a_broken_connection_it_connects_again(redis: PipelinedRedis) -> None:
    own = await redis.execute_command("CLIENT", "ID")
    with contextlib.suppress(RedisError):
        await redis.execute_command("CLIENT", "KILL", "ID", own, "SKIPME", "no")
    for _ in range(50):
        with contextlib.suppress(RedisError):
            assert await redis.execute_command("ECHO", "here") == b"here"
            return
    raise AssertionError("it did not connect again")


async def test_nobody_listens() -> None:
    redis = PipelinedRedis("redis://127.0.0.1:1", timeout_s=TIMEOUT_S)
    results = await asyncio.gather(*[redis.execute_command("PING") for _ in range(3)], return_exceptions=True)
    assert all(isinstance(one, RedisConnectionError) for one in results)
    with pytest.raises(RedisConnectionError):
        await redis.execute_command("PING")
    await redis.aclose()


async def test_a_silent_server_is_late() -> None:
    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(1_024):
                pass
        writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    redis = PipelinedRedis(f"redis://127.0.0.1:{port}", timeout_s=0.1)
    with pytest.raises(RedisTimeoutError):
        await redis.execute_command("PING")
    await redis.aclose()
    server.close()
    await server.wait_closed()


async def test_a_server_that_falls_silent_is_late(redis_url: str) -> None:
    """A command that blocks stands for a server that hangs."""
    redis = PipelinedRedis(redis_url, timeout_s=0.2)
    await redis.execute_command("PING")
    with pytest.raises(RedisTimeoutError):
        await redis.execute_command("BLPOP", "nothing-comes-here", 2)
    assert await redis.execute_command("ECHO", "on") == b"on"
    await redis.aclose()


async def test_a_closed_one_lets_nobody_wait(redis_url: str) -> None:
    redis = PipelinedRedis(redis_url, timeout_s=TIMEOUT_S)
    waiting = asyncio.create_task(redis.execute_command("BLPOP", "nothing-comes-here-either", 1))
    await asyncio.sleep(0.05)
    await redis.aclose()
    with pytest.raises(RedisConnectionError):
        await waiting


async def test_a_script_is_learnt_on_its_first_use(redis: PipelinedRedis) -> None:
    await redis.execute_command("SCRIPT", "FLUSH")
    script = Script(redis, "return {KEYS[1], ARGV[1]}")
    assert await script(["k"], ["a"]) == [b"k", b"a"]
    assert await script(["k"], [b"\xff"]) == [b"k", b"\xff"]
