"""Recorded answers: what is kept of them, and the same list computed again."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from uuid import UUID

from sqlalchemy import select

from app.core.errors import RecommendationNotFound
from app.core.types import ProjectId, VersionId
from app.db.session import Transaction
from app.db.tables import ModelVersionRow
from app.impressions.record import AnswerRecord
from app.impressions.repository import AnswerRepository
from app.recommendations.catalogue import Catalogue
from app.recommendations.listing import make_list
from app.recommendations.view import Ranked
from app.replay.explaining import explain
from app.replay.origin import OriginReader
from app.replay.schemas import AnswerRead, Difference, HistoryRead, RecordedItem, ReplayRead

SCORE_TOLERANCE = 1e-4
"""Relative: the order in which a matrix product adds up depends on the rows that lie beside an item."""
PROPENSITY_DIGITS = 9


class ReplayService:
    """The recorded answers of one project in one transaction.

    Args:
        transaction: it reads.
        project: whose.
        origins: reads what answers were made from.
    """

    def __init__(self, transaction: Transaction, project: ProjectId, *, origins: OriginReader) -> None:
        self._transaction = transaction
        self._project = project
        self._origins = origins
        self._answers = AnswerRepository(transaction, project)

    def read(self, answer_id: UUID) -> AnswerRead:
        """What is recorded; raises RecommendationNotFound."""
        return self._shown(self._find(answer_id))

    def _find(self, answer_id: UUID) -> AnswerRecord:
        record = self._answers.find(answer_id)
        if record is None:
            raise RecommendationNotFound(answer_id)
        return record

    def replay(self, answer_id: UUID) -> ReplayRead:
        """The answer computed again, compared and explained.

        Raises:
            RecommendationNotFound: there is no such answer.
            CatalogueForgotten: the catalogue of then is no longer kept.
            NotReplayable: something else that it was made from is not kept.
        """
        record = self._find(answer_id)
        origin = self._origins.read(record)
        ranked = make_list(origin.state, origin.plan, origin.task).ranked
        recorded, recomputed = items_of(record), _items(ranked, origin.state.catalogue, record.offset)
        gap = _largest_gap(recorded, recomputed)
        return ReplayRead(
            answer=self._shown(record),
            identical=[_essence(one) for one in recorded] == [_essence(one) for one in recomputed]
            and gap <= SCORE_TOLERANCE,
            history_exact=origin.history_exact,
            largest_score_difference=gap,
            recomputed=recomputed,
            differences=_differences(recorded, recomputed),
            explanations=explain(origin, ranked),
        )

    def _shown(self, record: AnswerRecord) -> AnswerRead:
        seen = self._answers.seen_positions(record.id)
        history = record.history
        return AnswerRead(
            recommendation_id=record.id,
            at=datetime.fromtimestamp(record.at, UTC),
            user_id=record.user_id,
            model_version=self._name_of(record.version_id),
            scenario=record.scenario,
            experiment_id=record.experiment_id,
            arm=record.arm,
            options=dict(record.options),
            session=None if record.session is None else [dict(event) for event in record.session],
            history=history and HistoryRead(count=history.count, through=history.through, digest=history.digest.hex()),
            rotated=dict(record.rotated),
            fallback=record.fallback,
            previous_id=record.previous_id,
            items=items_of(record),
            seen_ranks=None if seen is None else [record.offset + position for position in seen],
        )

    def _name_of(self, version: VersionId | None) -> str | None:
        if version is None:
            return None
        query = select(ModelVersionRow).where(
            ModelVersionRow.project_id == self._project, ModelVersionRow.id == version
        )
        row = self._transaction.session.scalars(query).one_or_none()
        return row.name if row else f"deleted version {version}"


def items_of(record: AnswerRecord) -> list[RecordedItem]:
    """The items of an answer with their ranks."""
    return [
        RecordedItem(rank=rank, item_id=item.item_id, score=item.score, source=item.source, propensity=item.propensity)
        for rank, item in enumerate(record.items, record.offset + 1)
    ]


def _items(ranked: Ranked, catalogue: Catalogue, offset: int) -> list[RecordedItem]:
    entries = zip(ranked.rows, ranked.scores, ranked.propensities, ranked.sources, strict=True)
    return [
        RecordedItem(rank=rank, item_id=catalogue.ids[row], score=score, source=source, propensity=propensity)
        for rank, (row, score, propensity, source) in enumerate(entries, offset + 1)
    ]


def _essence(item: RecordedItem) -> tuple[str, str, bool, float]:
    return item.item_id, item.source, item.score is None, round(item.propensity, PROPENSITY_DIGITS)


def _largest_gap(recorded: Sequence[RecordedItem], recomputed: Sequence[RecordedItem]) -> float:
    """Of the scores of the same items, relative to the larger one where that is above 1."""
    scores = {item.item_id: item.score for item in recomputed}
    pairs = [(item.score, scores.get(item.item_id)) for item in recorded]
    return max((abs(a - b) / max(1.0, abs(a)) for a, b in pairs if a is not None and b is not None), default=0.0)


def _differences(recorded: Sequence[RecordedItem], recomputed: Sequence[RecordedItem]) -> list[Difference]:
    return [
        Difference(rank=(a or b).rank, recorded=a and a.item_id, recomputed=b and b.item_id)
        for a, b in zip_longest(recorded, recomputed)
        if (a and a.item_id) != (b and b.item_id)
    ]
