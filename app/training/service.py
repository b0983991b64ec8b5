"""What clients do with trainings: order, watch and cancel them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import InvalidRequest, TrainingNotFound
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId, Promotion
from app.db.session import Transaction
from app.db.tables import JobRow
from app.jobs.repository import JobRepository
from app.jobs.service import JobService
from app.training.schemas import TrainingCreate, TrainingPage, TrainingRead
from model.config import ConfigError, parse_config


class TrainingService:
    """The trainings of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, jobs: JobService) -> None:
        self._project = project
        self._service = jobs
        self._jobs = JobRepository(transaction)

    def create(self, order: TrainingCreate) -> TrainingRead:
        """Queue a training; raises InvalidRequest naming the hyperparameter that is wrong."""
        check_order(order.method, order.hyperparameters)
        payload = order.model_dump(mode="json", exclude={"wait"})
        return read_training(self._service.enqueue(self._project, JobKind.TRAIN, payload))

    def get(self, training_id: UUID) -> TrainingRead:
        """One training; raises TrainingNotFound."""
        return self._found(self._jobs.get(self._project, training_id), training_id)

    def cancel(self, training_id: UUID) -> TrainingRead:
        """Stop it, within seconds if it runs; one that is over stays as it is. Raises TrainingNotFound."""
        return self._found(self._jobs.cancel(self._project, training_id), training_id)

    def _found(self, row: JobRow | None, training_id: UUID) -> TrainingRead:
        if row is None or row.kind != JobKind.TRAIN:
            raise TrainingNotFound(training_id)
        return read_training(row)

    def page(self, *, limit: int, cursor: str | None) -> TrainingPage:
        """Some trainings, newest first."""
        before = decode_cursor(cursor, UUID)[0] if cursor else None
        rows = self._jobs.page(self._project, JobKind.TRAIN, limit=limit + 1, before=before)
        return TrainingPage(
            trainings=[read_training(row) for row in rows[:limit]],
            next_cursor=encode_cursor(rows[limit - 1].id) if len(rows) > limit else None,
        )


def check_order(method: str, hyperparameters: Mapping[str, Any], *, within: str = "") -> None:
    """Raise InvalidRequest naming what is wrong, in a field that begins with `within`."""
    try:
        parse_config(method, dict(hyperparameters))
    except ConfigError as error:
        field = "method" if error.field == "method" else f"hyperparameters.{error.field}"
        raise InvalidRequest.of(f"{within}{field}", error.message) from error


def read_training(row: JobRow) -> TrainingRead:
    """A job row as clients may see it."""
    progress = row.progress or {}
    return TrainingRead(
        id=row.id,
        state=JobState(row.state),
        method=row.payload["method"],
        hyperparameters=row.payload["hyperparameters"],
        promote=Promotion(row.payload["promote"]),
        attempts=row.attempts,
        progress={key: value for key, value in progress.items() if key != "data_cut"} or None,
        data_cut=progress.get("data_cut"),
        error=row.error,
        result=row.result,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
