"""Hands routes their services: built per transaction, run in a thread, committed once."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio.to_thread
from fastapi import Depends, Path, Query, Request
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import OperationalError

from app.context import Context
from app.core.text import Identifier
from app.core.types import ProjectId
from app.db.session import Transaction
from app.events.service import EventService
from app.items.service import ItemService
from app.jobs.service import JobService
from app.models.service import ModelService
from app.projects.service import ProjectService
from app.recommendations.directory import StateDirectory
from app.recommendations.service import Recommender
from app.status.service import StatusService
from app.training.service import TrainingService

Result = TypeVar("Result")
DEADLOCK_RETRIES = 2


class Services:
    """The services of one project in one transaction."""

    def __init__(self, context: Context, transaction: Transaction, project: ProjectId) -> None:
        self._context = context
        self._transaction = transaction
        self._project = project

    @property
    def _jobs(self) -> JobService:
        return JobService(self._transaction, self._context.queue)

    @property
    def items(self) -> ItemService:
        """Items and media."""
        context = self._context
        return ItemService(
            self._transaction, self._project, jobs=self._jobs, intake=context.intake, changes=context.changes
        )

    @property
    def events(self) -> EventService:
        """Events."""
        return EventService(self._transaction, self._project, sequences=self._context.sequences)

    @property
    def trainings(self) -> TrainingService:
        """Trainings."""
        return TrainingService(self._transaction, self._project, jobs=self._jobs)

    @property
    def models(self) -> ModelService:
        """Versions."""
        return ModelService(self._transaction, self._project, jobs=self._jobs, changes=self._context.changes)

    @property
    def keys(self) -> ProjectService:
        """Keys."""
        return ProjectService(self._transaction)

    @property
    def status(self) -> StatusService:
        """Counts."""
        return StatusService(self._transaction, self._project)


class Edge:
    """What the routes of this process share."""

    def __init__(self, context: Context, directory: StateDirectory, recommender: Recommender) -> None:
        self.context = context
        self.directory = directory
        self.recommender = recommender

    async def call(self, project: ProjectId, work: Callable[[Services], Result]) -> Result:
        """Run synchronous work in a thread, in one transaction; again if the database chose it to end a deadlock."""

        def run() -> Result:
            with self.context.database.transaction() as transaction:
                return work(Services(self.context, transaction, project))

        for _ in range(DEADLOCK_RETRIES):
            try:
                return await anyio.to_thread.run_sync(run)
            except OperationalError as error:
                if not isinstance(error.orig, DeadlockDetected):
                    raise
        return await anyio.to_thread.run_sync(run)


def _edge(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


EdgeDep = Annotated[Edge, Depends(_edge)]
ItemIdPath = Annotated[Identifier, Path(description="The item's id, as the client chose it.")]
UserIdPath = Annotated[Identifier, Path(description="The user's id, as the client chose it.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="The most entries to return.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next_cursor` of the page before.")]
