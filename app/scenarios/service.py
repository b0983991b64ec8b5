"""Named bundles of ranking options."""

from collections.abc import Callable

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import InvalidRequest, ScenarioNotFound
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import ScenarioRow
from app.scenarios.repository import ScenarioRepository
from app.scenarios.schemas import MAX_SCENARIOS, ScenarioList, ScenarioView, ScenarioWrite
from app.stores.changes import ChangeFeed


class ScenarioService:
    """The scenarios of one project in one transaction.

    Args:
        transaction: of the request.
        project: whose.
        changes: tells the API processes.
        check_filter: raises InvalidRequest for a filter that cannot be read.
    """

    def __init__(
        self,
        transaction: Transaction,
        project: ProjectId,
        *,
        changes: ChangeFeed,
        check_filter: Callable[[str], object],
    ) -> None:
        self._transaction = transaction
        self._project = project
        self._changes = changes
        self._check_filter = check_filter
        self._scenarios = ScenarioRepository(transaction, project)

    def put(self, name: str, write: ScenarioWrite) -> tuple[ScenarioView, bool]:
        """Store a scenario under its name; says whether it is new."""
        if write.options.filter is not None:
            self._check_filter(write.options.filter)
        is_new = self._scenarios.get(name) is None
        if is_new and self._scenarios.count() >= MAX_SCENARIOS:
            raise InvalidRequest.of("name", f"there are {MAX_SCENARIOS} scenarios, which is the limit")
        options = write.options.model_dump(mode="json", exclude_unset=True)
        self._scenarios.put(name, description=write.description, options=options)
        self._announce()
        return self.get(name), is_new

    def get(self, name: str) -> ScenarioView:
        """One scenario; raises ScenarioNotFound."""
        row = self._scenarios.get(name)
        if row is None:
            raise ScenarioNotFound(name)
        return _view(row)

    def page(self, *, limit: int, cursor: str | None) -> ScenarioList:
        """Scenarios by name."""
        (after,) = decode_cursor(cursor, str) if cursor else ("",)
        rows = self._scenarios.page(after=after, limit=limit + 1)
        shown = rows[:limit]
        next_cursor = encode_cursor(shown[-1].name) if len(rows) > limit else None
        return ScenarioList(scenarios=[_view(row) for row in shown], next_cursor=next_cursor)

    def delete(self, name: str) -> None:
        """Remove a scenario; raises ScenarioNotFound."""
        if not self._scenarios.delete(name):
            raise ScenarioNotFound(name)
        self._announce()

    def _announce(self) -> None:
        self._transaction.after_commit(lambda: self._changes.announce(self._project))


def _view(row: ScenarioRow) -> ScenarioView:
    return ScenarioView(
        name=row.name,
        description=row.description,
        options=row.options,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
