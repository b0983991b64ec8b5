"""Many calls of a script in one go, against the real server."""

from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from app.stores.script_calls import ScriptCalls

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client


def test_each_call_has_its_reply_in_order(redis: Redis) -> None:
    add = ScriptCalls(redis, ADD)
    assert add([(("a",), (1,)), (("b",), (10,)), (("a",), (2,))]) == [1, 10, 3]


def test_nothing_to_call_asks_nobody(redis: Redis) -> None:
    before = redis.info("stats")["total_commands_processed"]
    assert ScriptCalls(redis, ADD)([]) == []
    assert redis.info("stats")["total_commands_processed"] == before + 1


def test_a_server_that_has_forgotten_the_script_gets_it_again(redis: Redis) -> None:
    add = ScriptCalls(redis, ADD)
    assert add([(("a",), (1,))]) == [1]
    redis.script_flush()
    assert add([(("a",), (1,)), (("b",), (1,))]) == [2, 1]


def test_an_error_of_one_call_keeps_no_other_from_being_made_and_read(redis: Redis) -> None:
    redis.set("word", "not a number")
    add = ScriptCalls(redis, ADD)
    with pytest.raises(ResponseError, match="integer"):
        add([(("a",), (1,)), (("word",), (1,)), (("b",), (1,))])
    assert add([(("a",), (1,)), (("b",), (1,))]) == [2, 2]


def test_a_connection_that_has_died_idle_is_opened_again(redis: Redis, redis_url: str) -> None:
    add = ScriptCalls(redis, ADD)
    assert add([(("a",), (1,))]) == [1]
    with Redis.from_url(redis_url) as other:
        other.client_kill_filter(_type="normal", skipme=True)
    assert add([(("a",), (1,))]) == [2]
