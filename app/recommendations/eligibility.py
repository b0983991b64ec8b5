"""Which items may stand in a list at all: what may be shown, what was asked for, and what is left out."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.recommendations.catalogue import Catalogue
from app.recommendations.filters import Filter, parse
from app.recommendations.memory import History, RememberedPast
from app.recommendations.options import RankingOptions
from app.recommendations.view import Page, View
from app.stores.sequence_state import SequenceState

MICROSECONDS = 1_000_000

Pin = tuple[int, int]
"""A rank, and the row that stands there."""


def eligible_rows(
    view: View, past: History, options: RankingOptions, *, now: float, page: Page, scored: bool
) -> NDArray[np.bool_]:
    """Rows that may stand in a list by their rank [n]; pinned ones stand there by themselves.

    Args:
        view: the catalogue and the version.
        past: what the user has seen.
        options: filters, included and excluded items.
        now: seconds since 1970.
        page: what the pages before have shown.
        scored: whether only rows with a vector count.
    """
    catalogue = view.catalogue
    allowed = catalogue.showable(now=now).copy()
    if scored and view.version is not None:
        allowed &= view.version.vectors.present
    if options.categories is not None:
        allowed &= catalogue.in_categories(options.categories)
    if options.filter is not None:
        allowed &= catalogue.matches(_parsed(options.filter))
    if options.include is not None:
        allowed &= _only(catalogue.rows(options.include), len(catalogue))
    never = [name for name, most in options.category_caps.items() if most == 0]
    if never:
        allowed &= ~catalogue.in_categories(never)
    if options.exclude_seen:
        allowed[_seen_rows(catalogue, past, options, now=now)] = False
    for left_out in (options.exclude, page.before, options.pinned):
        if left_out:
            allowed[catalogue.rows(left_out)] = False
    return allowed


def _seen_rows(
    catalogue: Catalogue, past: History, options: RankingOptions, *, now: float
) -> Sequence[int] | NDArray[np.intp]:
    remembered = RememberedPast.of(past)
    if options.exclude_seen_types is None and options.exclude_seen_max_age_s is None:
        return remembered.seen_rows(catalogue)
    return catalogue.rows(seen_items(remembered.state, options, now=now))


def seen_items(history: SequenceState, options: RankingOptions, *, now: float) -> list[str]:
    """Items that the user has seen, in the sense of the options."""
    age_s = options.exclude_seen_max_age_s
    since_us = None if age_s is None else int((now - age_s) * MICROSECONDS)
    return history.seen(types=options.exclude_seen_types, since_us=since_us)


def pinned_rows(view: View, options: RankingOptions, *, now: float, page: Page) -> list[Pin]:
    """The pinned items that may be shown and have not been yet, by rank: neither filters nor history hold for them."""
    if not options.pinned:
        return []
    catalogue = view.catalogue
    showable = catalogue.showable(now=now)
    gone = {*options.exclude, *page.before}
    return sorted(
        (rank, row)
        for item_id, rank in options.pinned.items()
        if item_id not in gone and (row := catalogue.row_of.get(item_id)) is not None and showable[row]
    )


def _only(rows: list[int], n: int) -> NDArray[np.bool_]:
    mask = np.zeros(n, bool)
    mask[rows] = True
    return mask


@lru_cache(maxsize=256)
def _parsed(text: str) -> Filter:
    return parse(text)
