"""The lists that most requests ask for: by score alone, without what was seen; taken from a shortlist, row by row."""

import numpy as np
from numpy.typing import NDArray

from app.recommendations.caps import has_caps
from app.recommendations.memory import RememberedPast
from app.recommendations.options import RankingOptions
from app.recommendations.shortlist import Shortlist
from app.recommendations.view import PERSONAL, Page, Ranked, View


def is_plain(options: RankingOptions, page: Page) -> bool:
    """Whether nothing counts but scores, what may be shown and what was seen."""
    return not (
        options.filter is not None
        or options.categories is not None
        or options.include is not None
        or options.exclude
        or options.pinned
        or options.diversity
        or options.explore
        or options.freshness_weight
        or options.exclude_seen_types is not None
        or options.exclude_seen_max_age_s is not None
        or has_caps(options)
        or page.before
    )


def plain_list(
    view: View, past: RememberedPast, user: NDArray[np.float32], options: RankingOptions, *, now: float
) -> Ranked | None:
    """The first page of a plain list; None without a shortlist, or where it does not prove the page.

    Args:
        view: with a version.
        past: with a shortlist, or without.
        user: vector [d].
        options: plain ones.
        now: seconds since 1970: what is published.
    """
    assert view.version is not None
    vectors = view.version.vectors
    shortlist = past.shortlist(vectors, user)
    if shortlist is None:
        return None
    shown, count = vectors.among(view.catalogue.showable(now=now))
    seen = past.seen_rows(view.catalogue) if options.exclude_seen else np.empty(0, np.intp)
    rows, scores = _taken(shortlist, shown, set(seen.tolist()), options.limit)
    if not shortlist.proves(scores, options.limit):
        return None
    return Ranked(
        rows=rows,
        scores=scores,
        propensities=[1.0] * len(rows),
        sources=[PERSONAL] * len(rows),
        fallback=None,
        pool=(),
        more=count - len(seen) > len(rows) or _left(shown, seen) > len(rows),
    )


def _taken(shortlist: Shortlist, shown: NDArray[np.bool_], seen: set[int], limit: int) -> tuple[list[int], list[float]]:
    rows: list[int] = []
    scores: list[float] = []
    entries = zip(shortlist.rows.tolist(), shortlist.scores.tolist(), shown[shortlist.rows].tolist(), strict=True)
    for row, score, is_shown in entries:
        if is_shown and row not in seen:
            rows.append(row)
            scores.append(score)
            if len(rows) == limit:
                break
    return rows, scores


def _left(shown: NDArray[np.bool_], seen: NDArray[np.intp]) -> int:
    allowed = shown.copy()
    allowed[seen] = False
    return int(np.count_nonzero(allowed))
