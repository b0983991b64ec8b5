"""The wire between processes: 'something of this project's catalogue or live version has changed'."""

from typing import Protocol

import structlog
from redis import Redis
from redis.exceptions import RedisError

from app.core.types import ProjectId

log = structlog.get_logger(__name__)

CHANNEL = "crossan:changes"


class ChangeFeed(Protocol):
    """Tells every API process to look again; a lost message only costs one poll interval."""

    def announce(self, project: ProjectId) -> None:
        """Something of the project has been committed."""


class RedisChangeFeed:
    """Publish by Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def announce(self, project: ProjectId) -> None:
        """Publish the project's number; what was committed stays so when the cache is away."""
        try:
            self._redis.publish(CHANNEL, str(project))
        except RedisError as error:
            log.warning("change not announced, polling will find it", project=project, error=str(error))


class MemoryChangeFeed:
    """The twin for unit tests."""

    def __init__(self) -> None:
        self.announced: list[ProjectId] = []

    def announce(self, project: ProjectId) -> None:
        """Remember the project."""
        self.announced.append(project)
