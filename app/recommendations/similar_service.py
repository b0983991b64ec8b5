"""Answers `what is like this?`: an item, one side of it, or an upload."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import ItemNotFound, LiveVersionMissing, MediaNotFound, VectorNotFound
from app.core.ids import uuid7
from app.impressions.record import SIMILAR, AnswerRecord, AnswerSink, HistoryMark, ShownItems
from app.recommendations.eligibility import eligible_rows
from app.recommendations.history import HistoryReader
from app.recommendations.options import RankingOptions
from app.recommendations.ranking import user_vector
from app.recommendations.served import ServedVersion
from app.recommendations.similar import Likeness, cosines, most_alike
from app.recommendations.similar_modalities import ModalityIndex
from app.recommendations.state import ProjectState
from app.recommendations.view import FIRST_PAGE, View
from app.stores.sequence_state import SequenceState


class SimilarItem(BaseModel):
    """One item of an answer. `shares` says how much each modality has in the item's vector, null by one modality."""

    item_id: str
    rank: int
    score: float = Field(description="Cosine of the two vectors; with a personal share the standardised mix.")
    title: str
    shares: dict[str, float] | None


class SimilarItems(BaseModel):
    """The items that are most alike, best first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "recommendation_id": "0198c0de-0000-7000-8000-000000000000",
                    "user_id": None,
                    "item_id": "i7",
                    "by": "image",
                    "model_version": "v3",
                    "personalised": False,
                    "items": [{"item_id": "i1", "rank": 1, "score": 0.91, "title": "Harbour at dawn", "shares": None}],
                }
            ]
        }
    )

    recommendation_id: str = Field(description="Events may name it.")
    user_id: str | None
    item_id: str | None = Field(description="The item that was asked about, null for an upload.")
    by: str | None = Field(description="The modality that was compared; null for all together.")
    model_version: str
    personalised: bool = Field(description="Whether what the user would want had a share.")
    items: list[SimilarItem]


@dataclass(frozen=True)
class _Asked:
    """What was asked, for the answer and its record."""

    options: RankingOptions
    item_id: str | None = None
    by: str | None = None
    user_id: str | None = None
    personal: float = 0.0
    past: SequenceState | None = None


class SimilarService:
    """Finds what is alike in one API process.

    Args:
        history: of users.
        modalities: vectors by one modality.
        answers: keeps what was answered.
    """

    def __init__(self, history: HistoryReader, modalities: ModalityIndex, answers: AnswerSink) -> None:
        self._history = history
        self._modalities = modalities
        self._answers = answers

    async def to_item(
        self, state: ProjectState, item_id: str, options: RankingOptions, *, by: str | None
    ) -> dict[str, Any]:
        """What is like an item, as JSON-ready values in the shape of `SimilarItems`; the item itself is left out.

        Raises:
            ItemNotFound, VectorNotFound, MediaNotFound, ModalityNotRead: there is nothing to compare.
            LiveVersionMissing: nothing to compare by.
            AnswerTimedOut: the vectors of the modality are being made.
            InvalidRequest: the filter cannot be read.
        """
        version = live_of(state)
        if item_id not in state.catalogue.row_of:
            raise ItemNotFound(item_id)
        one = None if by is None else await self._modalities.get(state, version, by)
        # From here on nothing awaits: catalogue and vectors are one consistent picture.
        vectors = version.vectors
        values, present = (vectors.values, vectors.present) if one is None else one.within(state.catalogue)
        row = state.catalogue.row_of[item_id]
        if not present[row]:
            raise VectorNotFound(item_id) if by is None else MediaNotFound(item_id, by)
        asked = _Asked(options.model_copy(update={"exclude": (*options.exclude, item_id)}), item_id, by)
        allowed = _allowed(state, version, asked, now=time.time()) & present
        found = most_alike(cosines(values, values[row]), allowed, limit=options.limit, ties=state.catalogue.pks)
        return self._answer(state, version, asked, found)

    async def to_upload(
        self,
        state: ProjectState,
        version: ServedVersion,
        vector: NDArray[np.float32],
        options: RankingOptions,
        *,
        by: str,
        user_id: str | None,
        personal: float,
    ) -> dict[str, Any]:
        """What is like an upload of this vector [d], and what the user would want, by the weight `personal`."""
        past = None
        if user_id is not None:
            cached = await self._history.read(state.project, user_id)
            past = cached.state or SequenceState()
        # From here on nothing awaits: catalogue and vectors are one consistent picture.
        user = None if past is None else user_vector(View(state.catalogue, version), past)
        weight = 0.0 if user is None else personal
        asked = _Asked(options, None, by, user_id, weight, past)
        values = version.vectors.values
        found = most_alike(
            cosines(values, vector),
            _allowed(state, version, asked, now=time.time()) & version.vectors.present,
            limit=options.limit,
            ties=state.catalogue.pks,
            personal=None if user is None else values @ user,
            weight=weight,
        )
        return self._answer(state, version, asked, found)

    def _answer(self, state: ProjectState, version: ServedVersion, asked: _Asked, found: Likeness) -> dict[str, Any]:
        answer_id = uuid7()
        self._answers.record(_record(answer_id, state, version, asked, found))
        catalogue = state.catalogue
        own_shares = asked.item_id is None or asked.by is None
        return {
            "recommendation_id": str(answer_id),
            "user_id": asked.user_id,
            "item_id": asked.item_id,
            "by": asked.by,
            "model_version": version.name,
            "personalised": asked.personal > 0,
            "items": [
                {
                    "item_id": catalogue.ids[row],
                    "rank": rank,
                    "score": score,
                    "title": catalogue.titles[row],
                    "shares": version.vectors.shares(row) if own_shares else None,
                }
                for rank, (row, score) in enumerate(zip(found.rows, found.scores, strict=True), start=1)
            ],
        }


def live_of(state: ProjectState) -> ServedVersion:
    """The live version; raises LiveVersionMissing."""
    if state.live is None:
        raise LiveVersionMissing
    return state.live


def _allowed(state: ProjectState, version: ServedVersion, asked: _Asked, *, now: float) -> NDArray[np.bool_]:
    view = View(state.catalogue, version)
    past = asked.past or SequenceState()
    return eligible_rows(view, past, asked.options, now=now, page=FIRST_PAGE, scored=False)


def _record(
    answer_id: UUID, state: ProjectState, version: ServedVersion, asked: _Asked, found: Likeness
) -> AnswerRecord:
    past = asked.past
    what = {"item_id": asked.item_id, "by": asked.by, "personal": asked.personal}
    return AnswerRecord(
        id=answer_id,
        project=state.project,
        user_id=asked.user_id,
        at=time.time(),
        version_id=version.id,
        snapshot=state.snapshot,
        scenario=SIMILAR,
        experiment_id=None,
        arm=None,
        options={**asked.options.as_json(), SIMILAR: what},
        session=None,
        history=None if past is None else HistoryMark(past.count, past.through, past.digest),
        rotated={},
        pool=[],
        fallback=None,
        offset=0,
        previous_id=None,
        items=ShownItems(
            [state.catalogue.ids[row] for row in found.rows],
            found.scores,
            [1.0] * len(found.rows),
            [SIMILAR] * len(found.rows),
        ),
    )
