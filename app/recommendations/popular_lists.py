"""Lists that are the same for everybody: popular, trending and latest items, page by page."""

import time
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import InvalidRequest
from app.recommendations.eligibility import eligible_rows
from app.recommendations.options import RankingOptions
from app.recommendations.popular import Counted, Merit, PopularityCounter, Question
from app.recommendations.state import ProjectState
from app.recommendations.view import FIRST_PAGE, View
from app.stores.sequence_state import SequenceState

Rows = NDArray[np.intp]
LAST_US = 250_000_000_000_000_000
"""No list is counted up to a later time: microseconds since 1970, in the year 9892."""


class ListedItem(BaseModel):
    """One item of a list. `score` is what its events count, null in a list by date."""

    item_id: str
    rank: int
    score: float | None
    title: str
    categories: list[str]


class ItemList(BaseModel):
    """A page of a list, and where the next one begins."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {"item_id": "i1", "rank": 1, "score": 42.0, "title": "Harbour at dawn", "categories": ["sea"]}
                    ],
                    "next_cursor": None,
                }
            ]
        }
    )

    items: list[ListedItem]
    next_cursor: str | None


class CountedList(ItemList):
    """A page of a list by events: how many were counted, and the time of the oldest of them."""

    counted_events: int
    counted_since: datetime | None


async def counted_list(
    state: ProjectState,
    counter: PopularityCounter,
    options: RankingOptions,
    *,
    merit: Merit,
    window_s: float,
    types: Sequence[str],
    cursor: str | None,
) -> CountedList:
    """A page of the popular or the trending items; raises InvalidRequest for a wrong filter or cursor.

    Pages of one list are counted up to the same moment, which the cursor carries.
    """
    until_us, place, shown = decode_cursor(cursor, int, int, int) if cursor else (counter.present(), 0, 0)
    if not 0 <= until_us <= LAST_US:
        raise InvalidRequest.of("cursor", "is not one that this service gave out")
    question = Question(merit, window_s, tuple(sorted(set(types))), until_us)
    counted = await counter.count(state.project, question)
    # From here on nothing awaits: the catalogue is one consistent picture.
    rows, places = _allowed_places(state, options, counted, place=max(place, 0))
    page = rows[: options.limit]
    scores = [counted.scores[one] for one in places[: options.limit]]
    more = len(rows) > options.limit
    return CountedList(
        items=_listed(state, page, scores, shown=shown),
        next_cursor=encode_cursor(until_us, int(places[len(page) - 1]) + 1, shown + len(page)) if more else None,
        counted_events=counted.events,
        counted_since=counted.since,
    )


def latest_list(state: ProjectState, options: RankingOptions, *, cursor: str | None) -> ItemList:
    """A page of the items by date, newest first; raises InvalidRequest for a wrong filter or cursor."""
    catalogue = state.catalogue
    order = catalogue.by_recency()
    order = order[_allowed(state, options)[order]]
    shown = 0
    if cursor:
        date, pk, shown = decode_cursor(cursor, float, int, int)
        dates = catalogue.dated[order]
        order = order[(dates < date) | ((dates == date) & (catalogue.pks[order] < pk))]
    page = order[: options.limit]
    more = len(order) > options.limit
    return ItemList(
        items=_listed(state, page, [None] * len(page), shown=shown),
        next_cursor=encode_cursor(float(catalogue.dated[page[-1]]), int(catalogue.pks[page[-1]]), shown + len(page))
        if more
        else None,
    )


def _allowed(state: ProjectState, options: RankingOptions) -> NDArray[np.bool_]:
    view = View(state.catalogue, None)
    return eligible_rows(view, SequenceState(), options, now=time.time(), page=FIRST_PAGE, scored=False)


def _allowed_places(
    state: ProjectState, options: RankingOptions, counted: Counted, *, place: int
) -> tuple[Rows, NDArray[np.intp]]:
    """Rows that may be listed from a place of the whole list on, and their places in it."""
    row_of = state.catalogue.row_of
    rows = np.array([row_of.get(item_id, -1) for item_id in counted.item_ids[place:]], np.intp)
    kept = (rows >= 0) & _allowed(state, options)[np.maximum(rows, 0)] if len(rows) else np.zeros(0, bool)
    return rows[kept], np.flatnonzero(kept) + place


def _listed(state: ProjectState, rows: Rows, scores: Sequence[float | None], *, shown: int) -> list[ListedItem]:
    catalogue = state.catalogue
    return [
        ListedItem(
            item_id=catalogue.ids[row],
            rank=shown + position,
            score=score,
            title=catalogue.titles[row],
            categories=list(catalogue.categories(row)),
        )
        for position, (row, score) in enumerate(zip(rows.tolist(), scores, strict=True), start=1)
    ]
