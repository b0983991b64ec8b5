"""Many calls of one Lua script in one round trip, for the synchronous services.

redis-py packs, sends and reads each call of a pipeline by itself and asks first whether the script is known: that costs
several times what the script does.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import hiredis
from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

Field = bytes | str | int
Call = tuple[Sequence[str], Sequence[Field]]
"""Keys and arguments."""


class ScriptCalls:
    """A Lua script, called by its hash.

    Args:
        redis: runs it; its own rules of trying again hold.
        source: of the script.
    """

    def __init__(self, redis: Redis, source: str) -> None:
        self._redis = redis
        self._source = source
        self._hash = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, calls: Iterable[Call]) -> list[Any]:
        """The reply to each; raises the first error that Redis answers with, after all have been made.

        A server that does not know the script yet gets it, and then the calls that it could not make.
        """
        packed = [_packed("EVALSHA", self._hash, len(keys), *keys, *args) for keys, args in calls]
        replies = self._send(packed)
        unmade = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unmade:
            self._redis.script_load(self._source)
            for place, reply in zip(unmade, self._send([packed[place] for place in unmade]), strict=True):
                replies[place] = reply
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies

    def _send(self, packed: Sequence[bytes]) -> list[Any]:
        """Replies and errors, in order."""
        if not packed:
            return []
        connection = self._redis.connection_pool.get_connection()
        try:
            replies: list[Any] = connection.retry.call_with_retry(
                lambda: _exchange(connection, packed), lambda error: _drop(connection)
            )
            return replies
        finally:
            self._redis.connection_pool.release(connection)


def _packed(*fields: Field) -> bytes:
    packed: bytes = hiredis.pack_command(fields)  # type: ignore[arg-type]
    return packed


def _drop(connection: Any) -> None:
    connection.disconnect()


def _exchange(connection: Any, packed: Sequence[bytes]) -> list[Any]:
    connection.send_packed_command([b"".join(packed)])
    return [_reply(connection) for _ in packed]


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
