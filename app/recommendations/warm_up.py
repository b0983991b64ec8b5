"""Before a process says that it is ready: load what serves, and answer some of the newest users once."""

import asyncio
from collections.abc import Sequence

import anyio.to_thread
import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.core.types import ProjectId
from app.db.session import Database
from app.db.tables import EventRow, ProjectRow
from app.recommendations.directory import StateDirectory
from app.recommendations.requests import RecommendRequest
from app.recommendations.service import Recommender

log = structlog.get_logger(__name__)

MAX_PROJECTS = 100
USERS = 3
NEWEST_EVENTS = 200
RETRY_S = 0.5


class WarmUp:
    """Loads the projects that have a live version, and replays requests so that nothing is slow the first time.

    Args:
        database: the truth.
        directory: takes the states.
        recommender: answers; what it answers must not be recorded.
        limit_s: longest time; then the process is ready as it is. 0 loads nothing.
    """

    def __init__(
        self, database: Database, directory: StateDirectory, recommender: Recommender, *, limit_s: float
    ) -> None:
        self.finished = asyncio.Event()
        self._database = database
        self._directory = directory
        self._recommender = recommender
        self._limit_s = limit_s

    async def run(self) -> None:
        """Do it once."""
        if not self._limit_s:
            self.finished.set()
            return
        try:
            async with asyncio.timeout(self._limit_s):
                await self._warm_all()
        except TimeoutError:
            log.warning("not everything is warm", limit_s=self._limit_s)
        except Exception as error:
            # The outermost frame of a background task: a process that is not warm is only slower.
            log.error("warming up failed", exc_info=error)
        finally:
            self.finished.set()

    async def _warm_all(self) -> None:
        for project in await self._projects():
            state = await self._directory.get(project)
            for user_id in await anyio.to_thread.run_sync(self._newest_users, project):
                await self._recommender.recommend(state, RecommendRequest(user_id=user_id))
            await self._directory.indexed(project)

    async def _projects(self) -> Sequence[ProjectId]:
        """Asks until the database answers."""
        while True:
            try:
                return await anyio.to_thread.run_sync(self._live_projects)
            except SQLAlchemyError as error:
                log.warning("warming up waits for the database", error=str(error))
                await asyncio.sleep(RETRY_S)

    def _live_projects(self) -> Sequence[ProjectId]:
        query = select(ProjectRow.id).where(ProjectRow.live_version_id.is_not(None)).order_by(ProjectRow.id)
        with self._database.transaction() as transaction:
            return [ProjectId(one) for one in transaction.session.scalars(query.limit(MAX_PROJECTS))]

    def _newest_users(self, project: ProjectId) -> Sequence[str]:
        query = select(EventRow.user_id).where(EventRow.project_id == project).order_by(EventRow.id.desc())
        with self._database.transaction() as transaction:
            users = dict.fromkeys(transaction.session.scalars(query.limit(NEWEST_EVENTS)))
        return list(users)[:USERS]
