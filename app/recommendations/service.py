"""Answers `what next?` from memory: history, user encoder, top-k, or a fallback when nothing personal can be said."""

import time
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from app.core.errors import InvalidRequest, RecommendationNotFound
from app.core.ids import uuid7
from app.impressions.record import AnswerLog, AnswerRecord
from app.recommendations.answers import Items, Made, document, items_of, record_of
from app.recommendations.history import HistoryReader
from app.recommendations.kept_pages import KeptPage
from app.recommendations.listing import Task, make_list
from app.recommendations.memory import RememberedPast
from app.recommendations.micro_batching import MicroBatcher, candidates_wanted
from app.recommendations.paging import Chain, answer_of_cursor
from app.recommendations.past import Past
from app.recommendations.planning import Plan, Side, Wish, plan, plan_again, served_by
from app.recommendations.requests import RecommendRequest, session_json, session_state
from app.recommendations.state import ProjectState
from app.recommendations.view import Page
from app.telemetry.metrics import RECOMMENDATIONS, STAGE_SECONDS

_HISTORY_SECONDS = STAGE_SECONDS.labels("history")
_ANSWERED = {kind: RECOMMENDATIONS.labels(kind or "personal") for kind in (None, "trending", "latest")}
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
        self._together = MicroBatcher()
        self._pages: WeakKeyDictionary[RememberedPast, KeptPage] = WeakKeyDictionary()
        """The last page of each past that is remembered."""

    async def recommend(self, state: ProjectState, request: RecommendRequest) -> dict[str, Any]:
        """The answer to a request for a user or a session, as JSON-ready values in the shape of `Recommendation`.

        Raises:
            InvalidRequest: when the filter cannot be read, or the cursor is not one of this list.
            ScenarioNotFound: when the request names one that does not exist.
        """
        wish = Wish(request)
        if request.session is None or wish.cursor is not None:
            return await self.recommend_to(state, request.user_id, wish)
        answer_id, now = uuid7(), time.time()
        settled = plan(state, wish, unit=request.session_key or str(answer_id))
        events = session_json(request.session, now=now)
        past = await self._past_of_session(state, events, request.session_key, settled, now=now)
        return await self._answer(state, settled, past, answer_id=answer_id, now=now, chain=Chain())

    async def recommend_to(self, state: ProjectState, user_id: str | None, wish: Wish) -> dict[str, Any]:
        """The answer for a user, or the next page of a list that a cursor names.

        Raises:
            InvalidRequest: when the filter cannot be read, or the cursor is not one of this list.
            ScenarioNotFound: when the request names one that does not exist.
        """
        if wish.cursor is not None:
            return await self._after(state, user_id, wish, wish.cursor)
        assert user_id is not None
        settled = plan(state, wish, unit=user_id)
        now = time.time()
        past = await self._past_of_user(state, user_id, settled, now=now)
        return await self._answer(state, settled, past, answer_id=uuid7(), now=now, chain=Chain())

    async def next_page(self, state: ProjectState, answer_id: UUID, *, limit: int | None = None) -> dict[str, Any]:
        """What follows an answer in its list, by the same options, without what its list has shown so far.

        Raises:
            RecommendationNotFound: when the project has no such answer.
        """
        record = await self._answers.find(state.project, answer_id)
        if record is None or not record.is_ranking:
            raise RecommendationNotFound(answer_id)
        return await self._go_on(state, record, limit)

    async def _after(self, state: ProjectState, user_id: str | None, wish: Wish, cursor: str) -> dict[str, Any]:
        record = await self._answers.find(state.project, answer_of_cursor(cursor))
        if record is None or not record.is_ranking or user_id not in (None, record.user_id):
            raise InvalidRequest.of("cursor", "is of no list that is kept of this user")
        return await self._go_on(state, record, wish.given_limit)

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
        started = time.perf_counter()
        found = await self._history.read(state.project, user_id, older=needs.older, shown_since=needs.shown_since(now))
        _HISTORY_SECONDS.observe(time.perf_counter() - started)
        return Past(user_id, user_id, found.past, None, found.shown)

    async def _past_of_session(
        self, state: ProjectState, events: list[dict[str, Any]], key: str | None, settled: Plan, *, now: float
    ) -> Past:
        since = settled.needs.shown_since(now)
        shown = {} if key is None or since is None else await self._history.shown(state.project, key, since=since)
        return Past(None, key, RememberedPast(session_state(events)), events, shown)

    async def _answer(
        self, state: ProjectState, settled: Plan, past: Past, *, answer_id: UUID, now: float, chain: Chain
    ) -> dict[str, Any]:
        kept = self._pages.get(past.remembered) if _may_be_kept(past, chain) else None
        if kept is not None and not kept.holds(state, settled, now=now):
            kept = None
        if kept is None:
            for side in settled.sides:
                await self._prepare(state, side, past.remembered)
        # Up to the last line nothing awaits: catalogue and version are one consistent picture, and whatever has
        # changed since it was prepared is worked out again.
        started = time.perf_counter()
        page = Page(chain.offset, chain.item_ids)
        task = Task(past.remembered, now=now, seed=answer_id.int, rotated=past.shown, page=page)
        listing = make_list(state, settled, task) if kept is None else kept.listing
        made = Made(answer_id, state, settled, past, task, listing, chain)
        items = self._items(made) if kept is None else kept.items
        _RANK_SECONDS.observe(time.perf_counter() - started)
        record, answer = record_of(made), document(made, items)
        _ANSWERED[listing.ranked.fallback].inc()
        self._answers.record(record)
        if settled.options.rotation_s and past.key is not None:
            shown = list(record.items.item_ids)
            keep_s = settled.options.rotation_s
            await self._history.show(state.project, past.key, shown, now=now, keep_s=keep_s)
        return answer

    def _items(self, made: Made) -> Items:
        """The items of a page that was just made; it is kept if it can be given again."""
        items = items_of(made)
        if not _may_be_kept(made.past, made.chain):
            return items
        kept = KeptPage.of(made.state, made.plan, made.listing, items, now=made.task.now)
        if kept is None:
            return items
        self._pages[made.past.remembered] = kept
        return kept.items

    async def _prepare(self, state: ProjectState, side: Side, past: RememberedPast) -> None:
        """Work out with others what the ranking would work out alone."""
        version = served_by(state, side.version)
        if version is not None:
            await self._together.prepare(version, state.catalogue, past, candidates_wanted(side.options, past))


def _may_be_kept(past: Past, chain: Chain) -> bool:
    """Whether it is a first page, of a past that is still there for the next request."""
    return past.remembered.lasts and chain.previous_id is None
