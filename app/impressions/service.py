"""What clients report of answers, and what they ask of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.core.errors import InvalidRequest, RecommendationNotFound
from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import AnswerRow
from app.impressions.attribution import Attribution
from app.impressions.metrics import GroupBy, online_metrics
from app.impressions.repository import AnswerRepository
from app.impressions.schemas import Grouping, ImpressionRead, ImpressionWrite, MetricsQuery, MetricsRead

DEFAULT_TIME = timedelta(days=7)


class ImpressionService:
    """The impressions of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId) -> None:
        self._transaction = transaction
        self._project = project
        self._answers = AnswerRepository(transaction, project)

    def report(self, impression: ImpressionWrite) -> ImpressionRead:
        """Note which items of an answer were seen; together with what was reported before.

        Raises:
            RecommendationNotFound: there is no such answer in this project.
            InvalidRequest: it does not hold these items, or not as many.
        """
        row = self._answers.hold(impression.recommendation_id)
        if row is None:
            raise RecommendationNotFound(impression.recommendation_id)
        seen = _positions(row, impression)
        row.seen_positions = sorted({*(row.seen_positions or ()), *seen})
        return ImpressionRead(recommendation_id=row.id, seen=len(row.seen_positions), items=len(row.item_ids))

    def metrics(self, query: MetricsQuery) -> MetricsRead:
        """What people did with the answers of a time; raises InvalidRequest if it ends before it begins."""
        until = query.until or datetime.now(UTC)
        since = query.since or until - DEFAULT_TIME
        if since >= until:
            raise InvalidRequest.of("since", "must lie before until")
        groups = online_metrics(
            self._transaction,
            self._project,
            since=since,
            until=until,
            group_by=None if query.group_by is Grouping.NONE else GroupBy(query.group_by),
            attribution=Attribution(query.click_types, query.conversion_types, query.window_s),
            experiment_id=query.experiment_id,
        )
        return MetricsRead(since=since, until=until, groups=groups)


def _positions(row: AnswerRow, impression: ImpressionWrite) -> Sequence[int]:
    """Places of what was seen, from 1."""
    total = len(row.item_ids)
    if impression.item_ids is None:
        shown = impression.shown or 0
        if shown > total:
            raise InvalidRequest.of("shown", f"the answer has {total} items", limit=total)
        return range(1, shown + 1)
    place_of = {item_id: place for place, item_id in enumerate(row.item_ids, start=1)}
    unknown = [item_id for item_id in impression.item_ids if item_id not in place_of]
    if unknown:
        raise InvalidRequest.of("item_ids", f"the answer has no item '{unknown[0]}'")
    return [place_of[item_id] for item_id in impression.item_ids]
