"""Queries for what an estimate is made from: answers with exploration, what came of them, and the users' pasts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Float, and_, func, select
from sqlalchemy.dialects.postgresql import array

from app.core.types import ProjectId, VersionId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import AnswerRow, EventRow, ModelVersionRow
from app.events.repository import EventRepository
from app.impressions.attribution import Attribution, attributed_events
from app.recommendations.served import PublishedVersion
from app.recommendations.view import PERSONAL
from app.stores.sequence_state import SequenceState

POPULAR_FOR = timedelta(days=30)
REORDERING = ("diversity", "category_cap", "category_caps", "pinned")
"""Options under which the probability of a place is more than a matter of rank."""


@dataclass(frozen=True)
class Scope:
    """Which answers are asked for: from `since` on and before `until`, of one scenario or of all."""

    since: datetime
    until: datetime
    scenario: str | None


@dataclass(frozen=True)
class Population:
    """How many answers there are: personal ones, of those with exploration, and of those that can be compared."""

    personal: int
    explored: int
    comparable: int


class RecordedRepository(Repository):
    """The recorded answers of one project."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        super().__init__(transaction, project)
        self._histories: dict[tuple[str, bytes], SequenceState | None] = {}

    def population(self, scope: Scope) -> Population:
        """How many answers there are to rest on."""
        query = select(
            func.count(),
            func.count().filter(_explored()),
            func.count().filter(_explored(), _comparable()),
        ).where(*self._within(scope))
        return Population(*self.session.execute(query).one())

    def answers(self, scope: Scope, *, limit: int) -> Sequence[AnswerRow]:
        """The newest answers that can be compared, in the order of time."""
        query = (
            select(AnswerRow)
            .where(*self._within(scope), _explored(), _comparable())
            .order_by(AnswerRow.at.desc(), AnswerRow.id)
            .limit(limit)
        )
        return self.session.scalars(query).all()[::-1]

    def successes(self, scope: Scope, types: Sequence[str], *, window_s: float) -> Mapping[UUID, frozenset[int]]:
        """Places (from 1) of each answer's items that an event of these types is attributed to."""
        events = attributed_events(
            self.transaction,
            self.project,
            since=scope.since,
            until=scope.until,
            attribution=Attribution(click_types=types, window_s=window_s),
        )
        found: dict[UUID, frozenset[int]] = {}
        for event in events:
            if event.type in types:
                found[event.answer_id] = found.get(event.answer_id, frozenset()) | {event.position}
        return found

    def history(self, answer: AnswerRow) -> SequenceState | None:
        """A user's past as the answer was made from it; None where it cannot be told any more."""
        if answer.user_id is None or answer.history_digest is None:
            return None
        key = (answer.user_id, bytes(answer.history_digest))
        if key not in self._histories:
            events = EventRepository(self.transaction, self.project)
            count, through = answer.history_count or 0, answer.history_through or 0
            state = events.past(answer.user_id, limit=count, through=through)
            self._histories[key] = state if state.digest == key[1] else None
        return self._histories[key]

    def popularity(self, before: datetime) -> Mapping[str, float]:
        """Events of each item in the 30 days before a time."""
        query = (
            select(EventRow.item_id, func.count())
            .where(EventRow.project_id == self.project)
            .where(EventRow.timestamp < before, EventRow.timestamp >= before - POPULAR_FOR)
            .group_by(EventRow.item_id)
        )
        return {item_id: float(count) for item_id, count in self.session.execute(query)}

    def version(self, version: VersionId) -> PublishedVersion | None:
        """A version that has served, None if it is gone."""
        query = select(ModelVersionRow).where(ModelVersionRow.project_id == self.project, ModelVersionRow.id == version)
        row = self.session.scalars(query).one_or_none()
        return None if row is None else PublishedVersion(version, row.name, row.artifact)

    def _within(self, scope: Scope) -> Sequence[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [
            AnswerRow.project_id == self.project,
            AnswerRow.at >= scope.since,
            AnswerRow.at < scope.until,
            AnswerRow.fallback.is_(None),
            AnswerRow.version_id.is_not(None),
        ]
        if scope.scenario is not None:
            conditions.append(AnswerRow.scenario == scope.scenario)
        return conditions


def _explored() -> ColumnElement[bool]:
    return func.coalesce(AnswerRow.options["explore"].astext.cast(Float), 0.0) > 0


def _comparable() -> ColumnElement[bool]:
    """First pages whose every place went by rank or by chance."""
    return and_(
        AnswerRow.rank_offset == 0,
        func.cardinality(AnswerRow.item_ids) > 0,
        AnswerRow.sources.contained_by([PERSONAL]),
        ~AnswerRow.options.has_any(array(REORDERING)),
    )
