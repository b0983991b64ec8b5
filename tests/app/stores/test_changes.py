from redis import Redis

from app.core.types import ProjectId
from app.stores.changes import CHANNEL, MemoryChangeFeed, RedisChangeFeed


def test_listeners_hear_which_project_it_was(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis, redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(CHANNEL)
        pubsub.get_message(timeout=5)
        RedisChangeFeed(redis).announce(ProjectId(42))
        heard = pubsub.get_message(timeout=5)
    assert heard is not None
    assert heard["data"] == b"42"


def test_a_cache_that_is_away_only_loses_the_announcement() -> None:
    with Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=1) as redis:
        RedisChangeFeed(redis).announce(ProjectId(1))


def test_the_twin_remembers() -> None:
    feed = MemoryChangeFeed()
    feed.announce(ProjectId(5))
    assert feed.announced == [5]
