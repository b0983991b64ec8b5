"""What a ranking looks at, and what comes out of it: `ranking.rank` is a function from the one to the other."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.recommendations.catalogue import Catalogue
from app.recommendations.vectors import ItemVectors

Fallback = Literal["trending", "latest"]
PERSONAL = "personal"
PINNED = "pinned"


class Scorer(Protocol):
    """A version as a ranking needs it; `ServedVersion` is one."""

    @property
    def vectors(self) -> ItemVectors:
        """Of the items, in the rows of the catalogue."""

    @property
    def max_length(self) -> int:
        """Most items of a sequence that are read."""

    def encode_user(self, sequence: NDArray[np.float32]) -> NDArray[np.float32]:
        """User vector [d] of item vectors [s, d], oldest first."""


class View(NamedTuple):
    """A consistent picture of a project.

    Attributes:
        catalogue: its items.
        version: what scores them, None without a version.
        trending: rows for users nothing is known of, best first.
        latest: rows that come after the trending ones, best first.
    """

    catalogue: Catalogue
    version: Scorer | None
    trending: Sequence[int] = ()
    latest: Sequence[int] = ()


class Page(NamedTuple):
    """Where in a list a page begins.

    Attributes:
        offset: ranks before its first item.
        before: ids of the items on the pages before.
    """

    offset: int = 0
    before: Sequence[str] = ()


FIRST_PAGE = Page()


class Ranked(NamedTuple):
    """One page of a list, best first; the four sequences have one entry an item.

    Attributes:
        rows: of the catalogue.
        scores: inner products of the version, None in a fallback and for a pinned item without a vector.
        propensities: probability with which each item stands in its place, given those above it.
        sources: `personal`, `pinned`, or the name of the fallback.
        fallback: name of the fallback, None for a personal list.
        pool: in a fallback the rows it chose from, in order: with these as `View.trending` (or `latest`, whichever the
            fallback's name says) the same page comes out again. Empty for a personal list.
        more: whether a next page would have an item.
    """

    rows: Sequence[int]
    scores: Sequence[float | None]
    propensities: Sequence[float]
    sources: Sequence[str]
    fallback: Fallback | None
    pool: Sequence[int]
    more: bool
