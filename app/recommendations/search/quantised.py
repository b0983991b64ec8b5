"""Reads a copy of the vectors in 8 bits, a quarter of the bytes, and proves with the vectors that the answer is exact.

Few users read one copy, more at once another that is laid out for them. Rows are rounded to 8 bits with scales. How
far that can be off is known: the length of what was rounded away, times the length of the user's vector. So a search
gives the exact answer, or knows that it may not.
"""

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.recommendations.search.batch_codes import BatchCodes
from app.recommendations.search.codes import Codes
from app.recommendations.search.exact import ExactIndex
from app.recommendations.search.index import NO_ROW, IndexReport, Rows, Scores, VectorSource
from app.recommendations.search.overlay import Overlay
from app.recommendations.search.refining import Shortlist, refined

OVER_FETCHES = (2, 4, 8)
"""Candidates for k items: one of these times k and `SPARE`."""
MANY_USERS = 4
"""From so many on it pays to multiply them together, which takes as long as for sixteen."""
SOME_USERS = 3
"""The same where the codes for few users are of no use."""
SPARE = 8
PROVEN_SHARE = 0.95
"""Share of searches that have to be proved exact from what one of them finds."""


class QuantisedIndex:
    """Codes of the vectors as they were when it was built; what changed since then is read exactly.

    Args:
        vectors: read anew in every search.
        reason: why this kind, for the report.

    Attributes:
        over_fetch: candidates of each search for few users, as a multiple.
        report: what was built.
    """

    waits = False

    def __init__(self, vectors: VectorSource, *, reason: str = "") -> None:
        start = time.perf_counter()
        self.over_fetch = OVER_FETCHES[0]
        self._vectors = vectors
        values, items = vectors.values, int(np.count_nonzero(vectors.present))
        self._exact = ExactIndex(vectors)
        self._overlay = Overlay(built=len(values))
        self._codes, self._batch_codes = Codes(values), BatchCodes(values)
        settings = {"over_fetch": self.over_fetch}
        size_bytes, seconds = self._codes.size_bytes + self._batch_codes.size_bytes, time.perf_counter() - start
        self.report = IndexReport("quantised", items, 1.0, size_bytes, seconds, settings, reason)

    @property
    def is_worn(self) -> bool:
        """Whether so many rows have changed that it had better be built anew."""
        return self._overlay.is_worn

    def tuned(self, users: NDArray[np.float32], k: int) -> bool:
        """Over-fetch until nearly all of these searches are proved exact; False if the most does not do.

        It never takes less than before, so that it can be tuned for several k, one after the other.
        """
        values, present = self._vectors.values, self._vectors.present
        for over_fetch in [one for one in OVER_FETCHES if one >= self.over_fetch]:
            self.over_fetch = over_fetch
            self.report = replace(self.report, settings={"over_fetch": over_fetch})
            found = self._of_few(users, min(over_fetch * (k + SPARE), self._overlay.built))
            if refined(values, present, users, found, k).proven.mean() >= PROVEN_SHARE:
                return True
        return False

    def changed(self, rows: NDArray[np.intp]) -> None:
        """The vectors of these rows were written."""
        self._overlay.changed(rows)
        self._exact.changed(rows)

    def search(self, users: NDArray[np.float32], k: int) -> tuple[Rows, Scores]:
        """The k items of highest inner product with each of the users [b, d]; see `ItemIndex`."""
        users = np.ascontiguousarray(users, np.float32)
        fresh = self._overlay.rows
        found = self._shortlist(users, k + SPARE)
        if found is None:
            return self._exact.search(users, k)
        found = found.without(fresh).with_rows(fresh)
        answer = refined(self._vectors.values, self._vectors.present, users, found, k)
        return self._exact.completed(answer, ~answer.proven, users, k)

    def _shortlist(self, users: NDArray[np.float32], count: int) -> Shortlist | None:
        """By the copy that is faster; None where it is faster to read the vectors."""
        finds_few = self._codes.can_find(self.over_fetch * count)
        if len(users) >= (MANY_USERS if finds_few else SOME_USERS) and self._batch_codes.can_find(count):
            return self._batch_codes.shortlist(users, count)
        return self._of_few(users, self.over_fetch * count) if finds_few else None

    def _of_few(self, users: NDArray[np.float32], count: int) -> Shortlist:
        scores, rows = self._codes.best(users, count)
        rest = scores.min(axis=1) + self._codes.error(users)
        return Shortlist(np.where(rows < self._overlay.built, rows, NO_ROW), rest)
