"""Keeps the state of every project in use up to date: on announcements at once, by polling in any case."""

import asyncio
from collections.abc import Coroutine

import anyio.to_thread
import structlog
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from app.core.types import ProjectId
from app.db.session import Database
from app.recommendations.search.build import build_index
from app.recommendations.search.database_graph import KeptVectors
from app.recommendations.search.policy import IndexPolicy
from app.recommendations.state import ALONE, ProjectState, ServingPolicy, TrendingPolicy
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
        serving: how vectors are held, and searched.
    """

    def __init__(
        self,
        *,
        database: Database,
        artifacts: ArtifactStore,
        redis: AsyncRedis,
        trending: TrendingPolicy,
        poll_s: float,
        serving: ServingPolicy = ALONE,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._redis = redis
        self._trending = trending
        self._poll_s = poll_s
        self._serving = serving
        self._states: dict[ProjectId, ProjectState] = {}
        self._locks: dict[ProjectId, asyncio.Lock] = {}
        self._asked: dict[ProjectId, int] = {}
        self._answered: dict[ProjectId, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._indexing: dict[ProjectId, asyncio.Task[None]] = {}

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

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def states(self) -> list[ProjectState]:
        """What is loaded."""
        return list(self._states.values())

    def loaded(self, project: ProjectId) -> ProjectState | None:
        """The project's state, if it is in memory."""
        return self._states.get(project)

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
            state = self._states.get(project) or self._new(project)
            with CATALOGUE_REFRESH_SECONDS.time():
                look = await anyio.to_thread.run_sync(state.look)
            for _ in state.accepting(look):
                await asyncio.sleep(0)
            self._states[project] = state
            self._answered[project] = answered
        self._begin_indexing(state)

    def _new(self, project: ProjectId) -> ProjectState:
        return ProjectState(
            project,
            database=self._database,
            artifacts=self._artifacts,
            trending=self._trending,
            serving=self._serving,
        )

    async def refresh_if_loaded(self, project: ProjectId) -> None:
        """Look again if this process serves the project; trouble is logged, and the present state goes on serving."""
        if project not in self._states:
            return
        try:
            await self.refresh(project)
        except Exception as error:
            # The outermost frame of a background task: whatever it was, the next look may succeed.
            log.error("catalogue not refreshed", project=project, exc_info=error)

    async def indexed(self, project: ProjectId) -> None:
        """Wait until no index is being built."""
        while project in self._indexing:
            await asyncio.shield(self._indexing[project])

    def _begin_indexing(self, state: ProjectState) -> None:
        """Beside the looks, so that new items don't wait for it; one at a time."""
        if self._serving.index is None or state.project in self._indexing or not state.without_index():
            return
        task = self._indexing[state.project] = self._spawn(self._index(state, self._serving.index))
        task.add_done_callback(lambda _: self._indexing.pop(state.project))

    async def _index(self, state: ProjectState, policy: IndexPolicy) -> None:
        # Of the same look as the versions: rows of a later one may be others.
        catalogue = state.catalogue
        for version in state.without_index():
            kept = KeptVectors(self._database.engine, version.id, catalogue.pks)
            revision = version.vectors.revision
            try:
                index = await anyio.to_thread.run_sync(
                    build_index, version.vectors, policy, kept, abandon_on_cancel=True
                )
            except Exception as error:
                # The outermost frame of a background task: without an index answers are as good, and slower.
                log.error("index not built", project=state.project, version=version.name, exc_info=error)
                return
            state.accept_index(version, index, revision=revision)

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
