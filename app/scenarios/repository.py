"""Queries for scenarios."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core.types import ProjectId
from app.db.repository import Repository
from app.db.tables import ScenarioRow
from app.scenarios.options import RankingOptions
from app.scenarios.schemas import MAX_SCENARIOS, Scenario


def all_scenarios(session: Session, project: ProjectId) -> Mapping[str, Scenario]:
    """A project's scenarios by name, as API processes hold them."""
    query = select(ScenarioRow.name, ScenarioRow.options).where(ScenarioRow.project_id == project).limit(MAX_SCENARIOS)
    return {name: Scenario(name, RankingOptions.model_validate(options)) for name, options in session.execute(query)}


class ScenarioRepository(Repository):
    """The scenarios of one project."""

    def put(self, name: str, *, description: str, options: Mapping[str, Any]) -> None:
        """Insert or replace."""
        values = {"description": description, "options": dict(options)}
        query = insert(ScenarioRow).values(project_id=self.project, name=name, **values)
        self.session.execute(
            query.on_conflict_do_update(
                index_elements=[ScenarioRow.project_id, ScenarioRow.name], set_={**values, "updated_at": func.now()}
            )
        )

    def get(self, name: str) -> ScenarioRow | None:
        """One scenario, as it is now."""
        query = select(ScenarioRow).where(ScenarioRow.project_id == self.project, ScenarioRow.name == name)
        return self.session.scalars(query, execution_options={"populate_existing": True}).one_or_none()

    def page(self, *, after: str, limit: int) -> Sequence[ScenarioRow]:
        """Those whose names come after the given one."""
        query = select(ScenarioRow).where(ScenarioRow.project_id == self.project, ScenarioRow.name > after)
        return self.session.scalars(query.order_by(ScenarioRow.name).limit(limit)).all()

    def count(self) -> int:
        """How many there are."""
        query = select(func.count()).select_from(ScenarioRow).where(ScenarioRow.project_id == self.project)
        return self.session.scalars(query).one()

    def delete(self, name: str) -> bool:
        """Remove one; says whether it was there."""
        query = delete(ScenarioRow).where(ScenarioRow.project_id == self.project, ScenarioRow.name == name)
        return self.session.execute(query.returning(ScenarioRow.name)).first() is not None
