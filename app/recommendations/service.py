"""Answers `what next?` from memory: history, user encoder, top-k, or a fallback when nothing personal can be said."""

import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from app.recommendations.history import HistoryReader
from app.recommendations.ranking import top_k
from app.recommendations.schemas import Fallback
from app.recommendations.state import ProjectState, Version


@dataclass(frozen=True)
class Ranked:
    """A list of catalogue rows, best first, and how it came about."""

    rows: Sequence[int]
    scores: Sequence[float] | None = None
    fallback: Fallback | None = None


@dataclass(frozen=True)
class Query:
    """What is asked for."""

    user_id: str
    limit: int
    exclude_seen: bool = True
    now: float = field(default_factory=time.time)


class Recommender:
    """The hot path of one API process."""

    def __init__(self, history: HistoryReader) -> None:
        self._history = history

    async def recommend(self, state: ProjectState, query: Query) -> dict[str, Any]:
        """The answer as JSON-ready values, in the shape of `schemas.Recommendation`."""
        history = await self._history.read(state.project, query.user_id)
        # From here on nothing awaits: catalogue and version are one consistent picture.
        ranked = rank(state, history, query)
        return {
            "recommendation_id": str(uuid.uuid4()),
            "user_id": query.user_id,
            "model_version": state.version.row.name if state.version else None,
            "personalised": ranked.fallback is None,
            "fallback": ranked.fallback,
            "items": list(_items(state, ranked)),
        }


def rank(state: ProjectState, history: Sequence[str], query: Query) -> Ranked:
    """The best rows for a history of item ids, oldest first."""
    seen = state.catalogue.rows(history)
    excluded = seen if query.exclude_seen else []
    version = state.version
    known = state.catalogue.with_vector(seen)
    if version is None or not len(known):
        return _fallback(state, excluded, query)
    user = encode_user(version, state.catalogue.vectors[known[-version.max_length :]])
    rows, scores = top_k(
        user,
        state.catalogue.vectors,
        k=query.limit,
        allowed=state.catalogue.scorable(now=query.now),
        excluded=excluded,
    )
    return Ranked(rows.tolist(), scores.tolist())


def encode_user(version: Version, sequence: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> Any:
    """User vector [d] of a sequence of item vectors [s, d], oldest first."""
    return version.user_encoder.encode(sequence[None], np.array([len(sequence)], np.int64))[0]


def _fallback(state: ProjectState, excluded: Iterable[int], query: Query) -> Ranked:
    """Trending items, or the latest where nothing has happened yet."""
    kind: Fallback = "trending" if state.trending else "latest"
    hidden = set(excluded)
    showable = state.catalogue.showable(now=query.now)
    candidates = dict.fromkeys([*state.trending, *state.latest])
    rows = (row for row in candidates if row not in hidden and showable[row])
    return Ranked(list(islice(rows, query.limit)), fallback=kind)


def _items(state: ProjectState, ranked: Ranked) -> Iterable[dict[str, Any]]:
    catalogue = state.catalogue
    for position, row in enumerate(ranked.rows):
        yield {
            "item_id": catalogue.ids[row],
            "rank": position + 1,
            "score": ranked.scores[position] if ranked.scores is not None else None,
            "title": catalogue.titles[row],
            "shares": catalogue.shares(row) if ranked.scores is not None else None,
        }
