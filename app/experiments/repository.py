"""Queries for experiments."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.core.types import ExperimentKind, ExperimentState, ProjectId
from app.db.repository import Repository
from app.db.tables import ExperimentRow, ModelVersionRow, ScenarioRow
from app.experiments.running import Arm, RunningExperiment


def running(session: Session, project: ProjectId) -> tuple[RunningExperiment, ...]:
    """A project's running experiments by id, as API processes assign units to them."""
    query = (
        select(ExperimentRow)
        .where(ExperimentRow.project_id == project, ExperimentRow.state == ExperimentState.RUNNING)
        .order_by(ExperimentRow.id)
    )
    return tuple(as_running(row) for row in session.scalars(query, execution_options={"populate_existing": True}))


def as_running(row: ExperimentRow) -> RunningExperiment:
    """A row without what assignment does not need."""
    return RunningExperiment(
        id=row.id,
        name=row.name,
        salt=row.salt,
        arms=tuple(Arm(arm.name, arm.share, arm.version, arm.scenario) for arm in row.arms),
        interleaved=row.kind == ExperimentKind.INTERLEAVING,
    )


class ExperimentRepository(Repository):
    """The experiments of one project."""

    def add(self, row: ExperimentRow) -> ExperimentRow:
        """Insert and read back the defaults."""
        row.project_id = self.project
        self.session.add(row)
        self.session.flush()
        self.session.refresh(row)
        return row

    def get(self, experiment_id: int) -> ExperimentRow | None:
        """One experiment."""
        query = select(ExperimentRow).where(ExperimentRow.project_id == self.project, ExperimentRow.id == experiment_id)
        return self.session.scalars(query).one_or_none()

    def lock(self, experiment_id: int) -> ExperimentRow | None:
        """One experiment, held until the transaction ends."""
        query = select(ExperimentRow).where(ExperimentRow.project_id == self.project, ExperimentRow.id == experiment_id)
        return self.session.scalars(query.with_for_update()).one_or_none()

    def by_name(self, name: str) -> ExperimentRow | None:
        """The experiment of this name; nobody else makes one until the transaction ends."""
        key = {"key": f"experiments of {self.project}"}
        self.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)
        query = select(ExperimentRow).where(ExperimentRow.project_id == self.project, ExperimentRow.name == name)
        return self.session.scalars(query).one_or_none()

    def page(self, *, limit: int, before: int | None) -> Sequence[ExperimentRow]:
        """The newest experiments, older than number `before`."""
        query = select(ExperimentRow).where(ExperimentRow.project_id == self.project)
        if before is not None:
            query = query.where(ExperimentRow.id < before)
        return self.session.scalars(query.order_by(ExperimentRow.id.desc()).limit(limit)).all()

    def count_running(self) -> int:
        """How many run."""
        query = select(func.count()).where(
            ExperimentRow.project_id == self.project, ExperimentRow.state == ExperimentState.RUNNING
        )
        return self.session.scalars(query).one()

    def set_state(self, row: ExperimentRow, state: ExperimentState) -> None:
        """Go on to running or stopped, and keep the time of it."""
        row.state = state
        setattr(row, "started_at" if state == ExperimentState.RUNNING else "stopped_at", func.now())
        self.session.flush()
        self.session.refresh(row)

    def delete(self, row: ExperimentRow) -> None:
        """Delete an experiment with its arms."""
        self.session.delete(row)

    def usable_versions(self, names: Collection[str]) -> Mapping[str, ModelVersionRow]:
        """Those of the named versions that can serve."""
        query = select(ModelVersionRow).where(
            ModelVersionRow.project_id == self.project,
            ModelVersionRow.number.in_([int(name.removeprefix("v")) for name in names]),
            ModelVersionRow.archived_at.is_(None),
            ModelVersionRow.deleted_at.is_(None),
        )
        return {row.name: row for row in self.session.scalars(query)}

    def known_scenarios(self, names: Collection[str]) -> frozenset[str]:
        """Those of the named scenarios that there are."""
        query = select(ScenarioRow.name).where(ScenarioRow.project_id == self.project, ScenarioRow.name.in_(names))
        return frozenset(self.session.scalars(query))
