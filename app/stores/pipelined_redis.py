"""One connection to Redis that all concurrent callers share: what they ask in one turn of the loop is one write.

A pool gives each caller a connection, and each of them a turn of its own to write, to wait and to read; that costs a
large part of a request. Here the replies come in the order of the commands, and each wakes who asked.
"""

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import hiredis
from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

LOOKS_A_TIMEOUT = 4
"""How often in a timeout is looked whether a reply is overdue."""


class Commands(Protocol):
    """What sends commands; `redis.asyncio.Redis` does too."""

    async def execute_command(self, *args: Any) -> Any:
        """The reply to one command."""


class Script:
    """A Lua script, sent by its hash.

    Args:
        redis: runs it.
        source: of the script.
    """

    def __init__(self, redis: Commands, source: str) -> None:
        self._redis = redis
        self._source = source
        self._hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[str], args: Sequence[bytes | str | int | float]) -> Any:
        """Its reply; a server that does not know it yet gets the whole of it."""
        try:
            return await self._redis.execute_command("EVALSHA", self._hash, len(keys), *keys, *args)
        except NoScriptError:
            return await self._redis.execute_command("EVAL", self._source, len(keys), *keys, *args)


class _Asked(NamedTuple):
    """A command on its way: who waits for the reply, and since when (monotonic seconds)."""

    packed: bytes
    reply: asyncio.Future[Any]
    since: float


class PipelinedRedis:
    """Satisfies `Commands`. Connects on the first command, and again on the first one after trouble.

    A command whose connection breaks fails with a RedisError and is not sent again: whoever asked knows whether that
    would do harm.

    Args:
        url: of the server.
        timeout_s: longest time to connect, and to wait for a reply.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._connections: Any = ConnectionPool.from_url(url, socket_timeout=None, socket_connect_timeout=timeout_s)
        self._timeout_s = timeout_s
        self._outgoing: list[_Asked] = []
        self._awaited: deque[_Asked] = deque()
        self._wanted = asyncio.Event()
        self._link: asyncio.Task[None] | None = None

    async def execute_command(self, *args: bytes | str | int | float) -> Any:
        """The reply; raises RedisError: the server's own, or that it is away or late."""
        packed = hiredis.pack_command(args)  # type: ignore[arg-type]
        asked = _Asked(packed, asyncio.get_running_loop().create_future(), time.monotonic())
        self._outgoing.append(asked)
        self._wanted.set()
        if self._link is None or self._link.done():
            self._link = asyncio.create_task(self._serve())
        return await asked.reply

    async def aclose(self) -> None:
        """End the connection; who still waits gets an error."""
        if self._link is not None:
            self._link.cancel()
            await asyncio.wait([self._link])

    async def _serve(self) -> None:
        """One connection from its beginning to its end."""
        # One that the pool does not count: it ends with this task.
        connection: Any = self._connections.make_connection()
        error: RedisError = RedisConnectionError("The connection was closed.")
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()
            await self._exchange(connection)
        except RedisError as trouble:
            error = trouble
        except (TimeoutError, OSError) as trouble:
            error = RedisTimeoutError(str(trouble) or "Redis is late.")
        finally:
            # Failing comes last: who asks while the connection closes must not wait for one that nobody opens.
            try:
                await connection.disconnect(nowait=True)
            finally:
                self._fail(error)

    async def _exchange(self, connection: Any) -> None:
        """Send and receive until something breaks; raises what broke."""
        parts = (self._send(connection), self._receive(connection), self._watch())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, connection: Any) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            batch, self._outgoing = self._outgoing, []
            self._awaited.extend(batch)
            await connection.send_packed_command(b"".join([one.packed for one in batch]), check_health=False)

    async def _receive(self, connection: Any) -> None:
        while True:
            try:
                reply = await connection.read_response(disable_decoding=True)
            except ResponseError as refusal:
                self._settle(refusal)
            else:
                self._settle(reply)

    def _settle(self, reply: Any) -> None:
        asked = self._awaited.popleft()
        if asked.reply.done():
            # Whoever asked has left.
            return
        if isinstance(reply, ResponseError):
            asked.reply.set_exception(reply)
        else:
            asked.reply.set_result(reply)

    async def _watch(self) -> None:
        """Raise when the oldest reply is overdue."""
        while True:
            await asyncio.sleep(self._timeout_s / LOOKS_A_TIMEOUT)
            if self._awaited and self._awaited[0].since < time.monotonic() - self._timeout_s:
                raise RedisTimeoutError("Redis is late.")

    def _fail(self, error: RedisError) -> None:
        """Nobody waits any longer."""
        waiting = [*self._awaited, *self._outgoing]
        self._awaited.clear()
        self._outgoing.clear()
        self._wanted.clear()
        for asked in waiting:
            if not asked.reply.done():
                asked.reply.set_exception(error)
