"""Hands routes their services: built per transaction, run in a thread, committed once."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import anyio.to_thread
from fastapi import Depends, Path, Query, Request
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import OperationalError

from app.api.idempotency import CURRENT
from app.api.streams import StreamSlots
from app.context import Context
from app.core.text import Identifier
from app.core.types import ProjectId
from app.db.session import Transaction
from app.events.service import EventService
from app.experiments.service import ExperimentService
from app.impressions.record import AnswerLog
from app.impressions.service import ImpressionService
from app.items.service import ItemService
from app.jobs.reading import JobReader
from app.jobs.service import JobService
from app.lifecycle.service import ScheduleService
from app.lifecycle.versions import VersionService
from app.models.reading import ModelReader
from app.models.service import ModelService
from app.off_policy.service import EstimateService
from app.projects.service import ProjectService
from app.recommendations.directory import StateDirectory
from app.recommendations.filters import parse
from app.recommendations.history import HistoryReader
from app.recommendations.popular import PopularityCounter
from app.recommendations.service import Recommender
from app.recommendations.similar_modalities import ModalityIndex
from app.recommendations.similar_service import SimilarService
from app.recommendations.similar_uploads import UploadVectors
from app.replay.origin import OriginReader
from app.replay.service import ReplayService
from app.scenarios.service import ScenarioService
from app.status.service import StatusService
from app.training.service import TrainingService
from app.transfers.service import TransferService
from app.users.erasure import ErasureService
from app.users.service import UserService
from app.webhooks.service import WebhookService

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
    def transfers(self) -> TransferService:
        """Imports and exports."""
        return TransferService(self._transaction, self._project, jobs=self._jobs, store=self._context.transfers)

    @property
    def trainings(self) -> TrainingService:
        """Trainings."""
        return TrainingService(self._transaction, self._project, jobs=self._jobs)

    @property
    def models(self) -> ModelService:
        """Versions."""
        return ModelService(self._transaction, self._project, jobs=self._jobs, changes=self._context.changes)

    @property
    def model_reader(self) -> ModelReader:
        """Versions, to look at."""
        return ModelReader(self._transaction, self._project, artifacts=self._context.artifacts)

    @property
    def versions(self) -> VersionService:
        """Versions that leave."""
        return VersionService(self._transaction, self._project, jobs=self._jobs, artifacts=self._context.artifacts)

    @property
    def schedules(self) -> ScheduleService:
        """Schedules."""
        return ScheduleService(self._transaction, self._project)

    @property
    def job_reader(self) -> JobReader:
        """Jobs of any kind, to look at."""
        return JobReader(self._transaction, self._project)

    @property
    def webhooks(self) -> WebhookService:
        """Webhooks."""
        context = self._context
        return WebhookService(
            self._transaction,
            self._project,
            queue=context.queue,
            allow_private=context.settings.webhook_allow_private,
        )

    @property
    def experiments(self) -> ExperimentService:
        """Experiments."""
        return ExperimentService(self._transaction, self._project, jobs=self._jobs, changes=self._context.changes)

    @property
    def impressions(self) -> ImpressionService:
        """What was seen of answers, and what people did with it."""
        return ImpressionService(self._transaction, self._project)

    @property
    def scenarios(self) -> ScenarioService:
        """Scenarios."""
        return ScenarioService(self._transaction, self._project, changes=self._context.changes, check_filter=parse)

    @property
    def estimates(self) -> EstimateService:
        """Off-policy estimates."""
        return EstimateService(self._transaction, self._project, jobs=self._jobs)

    @property
    def replays(self) -> ReplayService:
        """Recorded answers, computed again."""
        context = self._context
        origins = OriginReader(self._transaction, self._project, database=context.database, artifacts=context.artifacts)
        return ReplayService(self._transaction, self._project, origins=origins)

    @property
    def keys(self) -> ProjectService:
        """Keys."""
        return ProjectService(self._transaction)

    @property
    def users(self) -> UserService:
        """Users."""
        return UserService(self._transaction, self._project, sequences=self._context.sequences)

    @property
    def erasures(self) -> ErasureService:
        """Erasures of users."""
        context = self._context
        return ErasureService(
            self._transaction,
            self._project,
            sequences=context.sequences,
            transfers_kept_s=context.settings.transfer_keep_s,
        )

    @property
    def status(self) -> StatusService:
        """Counts."""
        return StatusService(self._transaction, self._project)


class Edge:
    """What the routes of this process share."""

    def __init__(
        self,
        context: Context,
        directory: StateDirectory,
        recommender: Recommender,
        answers: AnswerLog,
        history: HistoryReader,
    ) -> None:
        self.context = context
        self.directory = directory
        self.recommender = recommender
        self.streams = StreamSlots(context.settings.job_streams)
        self.answers = answers
        self.history = history
        settings = context.settings
        self.popularity = PopularityCounter(
            context.database, most=settings.trending_window_events, keep_s=settings.trending_refresh_s
        )
        parts = (context.database, context.features, context.artifacts)
        modalities = ModalityIndex(*parts, timeout_s=settings.similar_timeout_s)
        self.similar = SimilarService(history, modalities, answers)
        self.uploads = UploadVectors(*parts, context.blobs, queue=context.queue, timeout_s=settings.similar_timeout_s)

    async def call(self, project: ProjectId, work: Callable[[Services], Result]) -> Result:
        """Run synchronous work in a thread, in one transaction; again if the database chose it to end a deadlock."""

        def run() -> Result:
            with self.context.database.transaction() as transaction:
                idempotent = CURRENT.get()
                if idempotent is not None:
                    idempotent.join(transaction)
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
