"""Answers `what next?` from memory: history, user encoder, top-k, or a fallback when nothing personal can be said."""

import time
from typing import Any
from uuid import UUID

from app.core.errors import InvalidRequest, RecommendationNotFound
from app.core.ids import uuid7
from app.impressions.record import AnswerLog, AnswerRecord
from app.recommendations.answers import Made, document, record_of
from app.recommendations.history import HistoryReader
from app.recommendations.listing import Task, make_list
from app.recommendations.paging import Chain, answer_of_cursor
from app.recommendations.past import Past
from app.recommendations.planning import Plan, plan, plan_again
from app.recommendations.requests import RecommendRequest, session_json, session_state
from app.recommendations.state import ProjectState
from app.recommendations.view import Page
from app.stores.sequence_state import SequenceState
from app.telemetry.metrics import RECOMMENDATIONS, STAGE_SECONDS

_HISTORY_SECONDS = STAGE_SECONDS.labels("history")
_RANK_SECONDS = STAGE_SECONDS.labels("rank")


class Recommender:
    """The hot path of one API process.

    Args:
        history: of users.
        answers: keeps what was answered, and gives it back for the next page.
    """

    def __init__(self, history: HistoryReader, answers: AnswerLog) -> None:
        self._history = history
        self._answers = answers

    async def recommend(self, state: ProjectState, request: RecommendRequest) -> dict[str, Any]:
        """The answer as JSON-ready values, in the shape of `schemas.Recommendation`.

        Raises:
            InvalidRequest: when the filter cannot be read, or the cursor is not one of this list.
            ScenarioNotFound: when the request names one that does not exist.
        """
        if request.cursor is not None:
            return await self._after(state, request, request.cursor)
        answer_id, now = uuid7(), time.time()
        settled = plan(state, request, unit=request.unit(answer_id))
        if request.session is None:
            past = await self._past_of_user(state, request.user_id or "", settled, now=now)
        else:
            events = session_json(request.session, now=now)
            past = await self._past_of_session(state, events, request.session_key, settled, now=now)
        return await self._answer(state, settled, past, answer_id=answer_id, now=now, chain=Chain())

    async def next_page(self, state: ProjectState, answer_id: UUID, *, limit: int | None = None) -> dict[str, Any]:
        """What follows an answer in its list, by the same options, without what its list has shown so far.

        Raises:
            RecommendationNotFound: when the project has no such answer.
        """
        record = await self._answers.find(state.project, answer_id)
        if record is None or not record.is_ranking:
            raise RecommendationNotFound(answer_id)
        return await self._go_on(state, record, limit)

    async def _after(self, state: ProjectState, request: RecommendRequest, cursor: str) -> dict[str, Any]:
        record = await self._answers.find(state.project, answer_of_cursor(cursor))
        if record is None or not record.is_ranking or request.user_id not in (None, record.user_id):
            raise InvalidRequest.of("cursor", "is of no list that is kept of this user")
        return await self._go_on(state, record, request.given_limit)

    async def _go_on(self, state: ProjectState, record: AnswerRecord, limit: int | None) -> dict[str, Any]:
        chain = await Chain.up_to(record, self._answers)
        settled = plan_again(state, record).limited(limit)
        now = time.time()
        if record.user_id is not None:
            past = await self._past_of_user(state, record.user_id, settled, now=now)
        else:
            past = await self._past_of_session(state, [*map(dict, record.session or ())], None, settled, now=now)
        return await self._answer(state, settled, past, answer_id=uuid7(), now=now, chain=chain)

    async def _past_of_user(self, state: ProjectState, user_id: str, settled: Plan, *, now: float) -> Past:
        needs = settled.needs
        with _HISTORY_SECONDS.time():
            cached = await self._history.read(
                state.project, user_id, older=needs.older, shown_since=needs.shown_since(now)
            )
        return Past(user_id, user_id, cached.state or SequenceState(), None, cached.shown)

    async def _past_of_session(
        self, state: ProjectState, events: list[dict[str, Any]], key: str | None, settled: Plan, *, now: float
    ) -> Past:
        since = settled.needs.shown_since(now)
        shown = {} if key is None or since is None else await self._history.shown(state.project, key, since=since)
        return Past(None, key, session_state(events), events, shown)

    async def _answer(
        self, state: ProjectState, settled: Plan, past: Past, *, answer_id: UUID, now: float, chain: Chain
    ) -> dict[str, Any]:
        # Up to the last line nothing awaits: catalogue and version are one consistent picture.
        with _RANK_SECONDS.time():
            page = Page(chain.offset, chain.item_ids)
            task = Task(past.state, now=now, seed=answer_id.int, rotated=past.shown, page=page)
            listing = make_list(state, settled, task)
        made = Made(answer_id, state, settled, past, task, listing, chain)
        record, answer = record_of(made), document(made)
        RECOMMENDATIONS.labels(listing.ranked.fallback or "personal").inc()
        self._answers.record(record)
        if settled.options.rotation_s and past.key is not None:
            shown = [item.item_id for item in record.items]
            keep_s = settled.options.rotation_s
            await self._history.show(state.project, past.key, shown, now=now, keep_s=keep_s)
        return answer
