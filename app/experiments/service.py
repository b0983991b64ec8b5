"""What clients do with experiments: make them, start and stop them, and see what came of them."""

import secrets

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import ExperimentConflict, ExperimentNotFound, InvalidRequest
from app.core.jobs import JobKind
from app.core.types import ExperimentKind, ExperimentState, ProjectId
from app.db.session import Transaction
from app.db.tables import ExperimentArmRow, ExperimentRow, ModelVersionRow
from app.experiments.outcomes import OutcomeRepository
from app.experiments.repository import ExperimentRepository, as_running
from app.experiments.results import arm_results, draft_result, sample_ratio, warnings_about
from app.experiments.schemas import (
    ArmRead,
    ExperimentCreate,
    ExperimentPage,
    ExperimentRead,
    ExperimentReport,
    Metric,
    Results,
)
from app.jobs.service import JobService
from app.models.repository import ModelRepository
from app.stores.changes import ChangeFeed
from app.webhooks.events import WebhookEvent
from app.webhooks.outbox import WebhookOutbox

MAX_RUNNING = 20
"""Each one costs a hash or two on every recommendation."""
SALT_BYTES = 16


class ExperimentService:
    """The experiments of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, jobs: JobService, changes: ChangeFeed) -> None:
        self._transaction = transaction
        self._project = project
        self._jobs = jobs
        self._changes = changes
        self._experiments = ExperimentRepository(transaction, project)

    def create(self, new: ExperimentCreate) -> tuple[ExperimentRead, bool]:
        """The experiment as a draft, and whether it is new: the same request again finds the same experiment.

        Raises:
            InvalidRequest: when an arm names a version or a scenario that there is not.
            ExperimentConflict: when another experiment has the name.
        """
        known = self._experiments.by_name(new.name)
        if known is not None:
            if read_experiment(known).model_dump(include=set(DEFINITION)) != new.model_dump():
                raise ExperimentConflict(f"There is another experiment called '{new.name}' in this project.")
            return read_experiment(known), False
        row = ExperimentRow(
            name=new.name,
            kind=new.kind,
            salt=secrets.token_hex(SALT_BYTES),
            metric_types=new.metric.types,
            metric_window_s=new.metric.window_s,
            arms=[ExperimentArmRow(position=position, **arm.model_dump()) for position, arm in enumerate(new.arms)],
        )
        self._check_arms(row)
        return read_experiment(self._experiments.add(row)), True

    def page(self, *, limit: int, cursor: str | None) -> ExperimentPage:
        """Some experiments, newest first."""
        before = decode_cursor(cursor, int)[0] if cursor else None
        rows = self._experiments.page(limit=limit + 1, before=before)
        shown = rows[:limit]
        return ExperimentPage(
            experiments=[read_experiment(row) for row in shown],
            next_cursor=encode_cursor(shown[-1].id) if len(rows) > limit else None,
        )

    def report(self, experiment_id: int) -> ExperimentReport:
        """An experiment with its results; raises ExperimentNotFound."""
        row = self._experiments.get(experiment_id)
        if row is None:
            raise ExperimentNotFound(experiment_id)
        return ExperimentReport(**read_experiment(row).model_dump(), results=self._results(row))

    def start(self, experiment_id: int) -> ExperimentRead:
        """Let a draft run; API processes are told, and its versions get the item vectors that they lack.

        Raises:
            ExperimentNotFound: when there is no such experiment.
            ExperimentConflict: when it has ended, or too many run.
            InvalidRequest: when something that an arm names has gone.
        """
        row = self._lock(experiment_id)
        if row.state == ExperimentState.RUNNING:
            return read_experiment(row)
        if row.state == ExperimentState.STOPPED:
            raise ExperimentConflict("An experiment that has ended cannot be started again: make a new one.")
        if self._experiments.count_running() >= MAX_RUNNING:
            raise ExperimentConflict(f"At most {MAX_RUNNING} experiments run at a time: stop another one first.")
        versions = self._check_arms(row)
        self._experiments.set_state(row, ExperimentState.RUNNING)
        self._jobs.ensure_waiting(self._project, JobKind.INDEX)
        if any(version.own_encoders for version in versions):
            self._jobs.ensure_waiting(self._project, JobKind.ENCODE)
        self._announce(row, WebhookEvent.EXPERIMENT_STARTED)
        return read_experiment(row)

    def stop(self, experiment_id: int) -> ExperimentRead:
        """End an experiment; raises ExperimentNotFound, or ExperimentConflict for one that has not begun."""
        row = self._lock(experiment_id)
        if row.state == ExperimentState.DRAFT:
            raise ExperimentConflict("An experiment that has not begun cannot be stopped: delete it.")
        if row.state == ExperimentState.RUNNING:
            self._experiments.set_state(row, ExperimentState.STOPPED)
            self._announce(row, WebhookEvent.EXPERIMENT_STOPPED)
        return read_experiment(row)

    def delete(self, experiment_id: int) -> None:
        """Forget an experiment; raises ExperimentNotFound, or ExperimentConflict for one that runs."""
        row = self._lock(experiment_id)
        if row.state == ExperimentState.RUNNING:
            raise ExperimentConflict("An experiment that runs cannot be deleted: stop it first.")
        self._experiments.delete(row)

    def _lock(self, experiment_id: int) -> ExperimentRow:
        row = self._experiments.lock(experiment_id)
        if row is None:
            raise ExperimentNotFound(experiment_id)
        return row

    def _check_arms(self, row: ExperimentRow) -> list[ModelVersionRow]:
        """The versions that the arms name; nobody archives or deletes one until the transaction ends."""
        ModelRepository(self._transaction, self._project).hold_live()
        versions = self._experiments.usable_versions({arm.version for arm in row.arms if arm.version})
        scenarios = self._experiments.known_scenarios({arm.scenario for arm in row.arms if arm.scenario})
        for position, arm in enumerate(row.arms):
            if arm.version is not None and arm.version not in versions:
                raise InvalidRequest.of(f"arms.{position}.version", f"there is no version '{arm.version}' to serve")
            if arm.scenario is not None and arm.scenario not in scenarios:
                raise InvalidRequest.of(f"arms.{position}.scenario", f"there is no scenario '{arm.scenario}'")
        return list(versions.values())

    def _results(self, row: ExperimentRow) -> Results:
        outcomes, arms = OutcomeRepository(self._transaction, self._project), as_running(row).arms
        if row.kind == ExperimentKind.INTERLEAVING:
            drafted = draft_result(arms[0], arms[1], outcomes.drafted(row))
            warnings = warnings_about([], drafted, None)
            return Results(arms=[], interleaving=drafted, sample_ratio=None, warnings=warnings)
        split = outcomes.split(row)
        found, ratio = arm_results(arms, split, outcomes.by_version(row)), sample_ratio(arms, split)
        return Results(arms=found, interleaving=None, sample_ratio=ratio, warnings=warnings_about(found, None, ratio))

    def _announce(self, row: ExperimentRow, event: WebhookEvent) -> None:
        payload = {"experiment_id": row.id, "name": row.name}
        WebhookOutbox(self._jobs.queue).emit(self._transaction, self._project, event, payload)
        self._transaction.after_commit(lambda: self._changes.announce(self._project))


DEFINITION = ("name", "kind", "arms", "metric")
"""What a request to make an experiment says."""


def read_experiment(row: ExperimentRow) -> ExperimentRead:
    """A row as clients may see it."""
    return ExperimentRead(
        id=row.id,
        name=row.name,
        kind=ExperimentKind(row.kind),
        state=ExperimentState(row.state),
        arms=[ArmRead(name=arm.name, share=arm.share, version=arm.version, scenario=arm.scenario) for arm in row.arms],
        metric=Metric(types=row.metric_types, window_s=row.metric_window_s),
        created_at=row.created_at,
        started_at=row.started_at,
        stopped_at=row.stopped_at,
    )
