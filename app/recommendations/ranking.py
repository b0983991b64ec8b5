"""What a user sees: exact top of the catalogue by their history, or a fallback, after everything that was asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from app.recommendations.candidates import (
    Candidates,
    FallbackCandidates,
    Mask,
    PersonalCandidates,
    Pool,
    Supply,
    pool_of,
)
from app.recommendations.caps import has_caps
from app.recommendations.eligibility import Pin, eligible_rows, pinned_rows
from app.recommendations.memory import History, RememberedPast, UserVector
from app.recommendations.options import RankingOptions
from app.recommendations.plain_list import is_plain, plain_list
from app.recommendations.reranking import PageFiller, Placed, pool_size
from app.recommendations.view import FIRST_PAGE, PERSONAL, PINNED, Page, Ranked, View

NOTHING_ROTATES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True)
class _Task:
    """What has to be put in order: the rows that are allowed [n], pins, and rows that were shown lately with times."""

    view: View
    options: RankingOptions
    allowed: Mask
    pins: Sequence[Pin]
    rotated: Mapping[int, float]
    offset: int
    seed: int
    past: RememberedPast


def rank(
    view: View,
    history: History,
    options: RankingOptions,
    *,
    now: float,
    seed: int,
    rotated: Mapping[str, float] = NOTHING_ROTATES,
    page: Page = FIRST_PAGE,
) -> Ranked:
    """The page that a user sees: pure and deterministic, for serving, replay and estimates alike.

    Args:
        view: the catalogue and the version; nothing of it is changed.
        history: the user's past; `SequenceState.of(events)` makes one. What a remembered one has worked out before
            spares time and changes nothing.
        options: as resolved.
        now: seconds since 1970: what is published, how old events and items are.
        seed: of the exploration, below 2^128: the recommendation id as a number.
        rotated: items that come after all others because they were shown lately: id to seconds since 1970.
        page: which page of the list.

    Raises:
        InvalidRequest: when the filter cannot be read.
    """
    past = RememberedPast.of(history)
    user = user_vector(view, past)
    if user is not None and not rotated and is_plain(options, page):
        found = plain_list(view, past, user, options, now=now)
        if found is not None:
            return found
    task = _Task(
        view=view,
        options=options,
        allowed=eligible_rows(view, past, options, now=now, page=page, scored=user is not None),
        pins=pinned_rows(view, options, now=now, page=page),
        rotated=_rows_of(view, rotated),
        offset=page.offset,
        seed=seed,
        past=past,
    )
    return _fallback(task, now=now) if user is None else _personal(task, user, now=now)


def user_vector(view: View, history: History) -> NDArray[np.float32] | None:
    """What the version makes of the newest items that it knows [d]; None where nothing personal can be said."""
    version = view.version
    if version is None:
        return None
    past = RememberedPast.of(history)
    sequence = past.sequence(view.catalogue, version.vectors, longest=version.max_length)
    if not len(sequence):
        return None
    user = past.user(version.vectors, sequence)
    if user is None:
        user = version.encode_user(version.vectors.values[sequence])
        past.keep_user(version.vectors, UserVector(sequence, user, version.vectors.revision))
    return user


def _rows_of(view: View, times: Mapping[str, float]) -> Mapping[int, float]:
    row_of = view.catalogue.row_of
    return {row_of[item_id]: time for item_id, time in times.items() if item_id in row_of}


def _personal(task: _Task, user: NDArray[np.float32], *, now: float) -> Ranked:
    assert task.view.version is not None
    shortlist = task.past.shortlist(task.view.version.vectors, user)
    candidates = PersonalCandidates(task.view, user, task.allowed, task.options, now=now, shortlist=shortlist)
    if _is_in_order(task):
        pool = pool_of(candidates, task.allowed, task.options.limit, rotated=task.rotated)
        return _in_order(task, pool, candidates.scores_in(pool), PERSONAL)
    placed = _placed(task, candidates)
    return _ranked(task, placed, candidates.scores_of([one.row for one in placed]), PERSONAL)


def _fallback(task: _Task, *, now: float) -> Ranked:
    candidates = FallbackCandidates(task.view, task.allowed, task.options, now=now)
    if _is_in_order(task):
        pool = pool_of(candidates, task.allowed, task.options.limit, rotated=task.rotated)
        ranked = _in_order(task, pool, [None] * len(pool.rows), candidates.name)
    else:
        placed = _placed(task, candidates)
        ranked = _ranked(task, placed, [None] * len(placed), candidates.name)
    return ranked._replace(fallback=candidates.name, pool=candidates.consulted)


def _is_in_order(task: _Task) -> bool:
    """Whether the order of the candidates decides alone."""
    options = task.options
    return not (options.diversity or options.explore or task.pins or has_caps(options))


def _in_order(task: _Task, pool: Pool, scores: Sequence[float | None], source: str) -> Ranked:
    rows = pool.rows.tolist()
    return Ranked(
        rows=rows,
        scores=scores,
        propensities=[1.0] * len(rows),
        sources=[source] * len(rows),
        fallback=None,
        pool=(),
        more=int(np.count_nonzero(task.allowed)) > len(rows),
    )


def _ranked(task: _Task, placed: Sequence[Placed], scores: Sequence[float | None], source: str) -> Ranked:
    pinned = sum(one.is_pinned for one in placed)
    left = int(np.count_nonzero(task.allowed)) - (len(placed) - pinned)
    return Ranked(
        rows=[one.row for one in placed],
        scores=scores,
        propensities=[one.propensity for one in placed],
        sources=[PINNED if one.is_pinned else source for one in placed],
        fallback=None,
        pool=(),
        more=left > 0 or pinned < len(task.pins),
    )


def _placed(task: _Task, candidates: Candidates) -> Sequence[Placed]:
    """The page, place by place."""
    options = task.options
    supply = Supply(
        candidates,
        task.allowed,
        size=pool_size(options),
        in_categories=task.view.catalogue.in_categories,
        rotated=task.rotated,
    )
    version = task.view.version
    filler = PageFiller(
        supply.take,
        options,
        categories=task.view.catalogue.categories,
        vectors=None if version is None else version.vectors.values,
        seed=task.seed,
    )
    return filler.fill(task.pins, offset=task.offset)
