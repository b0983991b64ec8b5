"""Keeps the state of every project in use up to date: on announcements at once, by polling in any case."""

import asyncio
from collections.abc import Coroutine

import anyio.to_thread
import structlog
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from app.core.types import ProjectId
from app.db.session import Database
from app.recommendations.state import ProjectState, TrendingPolicy
from app.stores.artifacts import ArtifactStore
from app.stores.changes import CHANNEL
from app.telemetry.metrics import CATALOGUE_REFRESH_SECONDS

log = structlog.get_logger(__name__)

CANCEL_AGAIN_S = 0.5
RECONNECT_S = 1.0


class StateDirectory:
    """The projects this process serves, each read on first use.

    Args:
        database: the truth.
        artifacts: published versions.
        redis: carries announcements.
        trending: how trending items are counted.
        poll_s: longest time between two looks at a project.
    """

    def __init__(
        self,
        *,
        database: Database,
        artifacts: ArtifactStore,
        redis: AsyncRedis,
        trending: TrendingPolicy,
        poll_s: float,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._redis = redis
        self._trending = trending
        self._poll_s = poll_s
        self._states: dict[ProjectId, ProjectState] = {}
        self._locks: dict[ProjectId, asyncio.Lock] = {}
        self._asked: dict[ProjectId, int] = {}
        self._answered: dict[ProjectId, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to listen and to poll."""
        self._spawn(self._listen())
        self._spawn(self._poll())

    async def stop(self) -> None:
        """End both, and what they have begun.

        A cancellation that meets a library in the middle of connecting can get lost, so it is repeated.
        """
        waiting = set(self._tasks)
        while waiting:
            for task in waiting:
                task.cancel()
            _, waiting = await asyncio.wait(waiting, timeout=CANCEL_AGAIN_S)

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def states(self) -> list[ProjectState]:
        """What is loaded."""
        return list(self._states.values())

    async def get(self, project: ProjectId) -> ProjectState:
        """The project's state; the first caller waits for the first look."""
        state = self._states.get(project)
        if state is None:
            await self.refresh(project)
            state = self._states[project]
        return state

    async def refresh(self, project: ProjectId) -> None:
        """Look at everything committed before this call; callers that come meanwhile share the next look."""
        self._asked[project] = turn = self._asked.get(project, 0) + 1
        async with self._locks.setdefault(project, asyncio.Lock()):
            if self._answered.get(project, 0) >= turn:
                return
            answered = self._asked[project]
            state = self._states.get(project) or ProjectState(
                project, database=self._database, artifacts=self._artifacts, trending=self._trending
            )
            with CATALOGUE_REFRESH_SECONDS.time():
                look = await anyio.to_thread.run_sync(state.look)
            state.accept(look)
            self._states[project] = state
            self._answered[project] = answered

    async def refresh_if_loaded(self, project: ProjectId) -> None:
        """Look again if this process serves the project; trouble is logged, and the present state goes on serving."""
        if project not in self._states:
            return
        try:
            await self.refresh(project)
        except Exception as error:
            # The outermost frame of a background task: whatever it was, the next look may succeed.
            log.error("catalogue not refreshed", project=project, exc_info=error)

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            for project in list(self._states):
                await self.refresh_if_loaded(project)

    async def _listen(self) -> None:
        while True:
            try:
                await self._follow()
            except RedisError as error:
                log.warning("announcements interrupted, polling goes on", error=str(error))
                await asyncio.sleep(RECONNECT_S)

    async def _follow(self) -> None:
        """Look again whenever a project is announced; anybody may publish, so other messages are passed over."""
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in pubsub.listen():
                if message["data"].isdigit():
                    self._spawn(self.refresh_if_loaded(ProjectId(int(message["data"]))))
