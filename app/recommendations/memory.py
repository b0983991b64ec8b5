"""What has been worked out of one user's past, kept as long as it holds: rows, the user vector, the best candidates.

Nothing here is an answer by itself: a ranking looks here first and works out what is missing, with the same result.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar
from weakref import ref

import numpy as np
from numpy.typing import NDArray

from app.impressions.record import HistoryMark
from app.recommendations.catalogue import Catalogue
from app.recommendations.shortlist import Shortlist
from app.recommendations.vectors import ItemVectors
from app.stores.sequence_state import SequenceState

Rows = NDArray[np.intp]
Name = TypeVar("Name", str, bytes)
MAX_VERSIONS = 4
"""Versions that things are kept of: the live one and those of experiments."""


class UserVector(NamedTuple):
    """A user under one version.

    Attributes:
        sequence: rows that the vector was made from, oldest first.
        values: the vector [d].
        revision: of the item vectors at that time.
    """

    sequence: Rows
    values: NDArray[np.float32]
    revision: int

    def holds(self, vectors: ItemVectors, sequence: Rows) -> bool:
        """Whether it would come out the same now."""
        is_same = self.sequence is sequence or np.array_equal(self.sequence, sequence)
        return is_same and not vectors.changed_since(sequence, self.revision)


class _Rows:
    """The rows of some items, looked up again only when that may give something else."""

    def __init__(self) -> None:
        self._catalogue: ref[Catalogue] | None = None
        self._size = 0
        self._found: Rows = np.empty(0, np.intp)

    def of(self, catalogue: Catalogue, items: Sequence[Name], find: Callable[[Sequence[Name]], list[int]]) -> Rows:
        """Rows of those items that the catalogue has, in order; the items are the same each time."""
        is_same = self._catalogue is not None and self._catalogue() is catalogue
        # One that was unknown may have come since; one that is known keeps its row.
        if not is_same or (len(self._found) < len(items) and self._size != len(catalogue)):
            self._found = np.asarray(find(items), np.intp)
            self._catalogue, self._size = ref(catalogue), len(catalogue)
        return self._found


class _Under:
    """What is known under one version, which is told by its vectors and lives no longer for being known here."""

    def __init__(self, vectors: ItemVectors) -> None:
        self.vectors = ref(vectors)
        self.user: UserVector | None = None
        self.shortlist: Shortlist | None = None
        self._known: Rows | None = None
        self._sequence: Rows = np.empty(0, np.intp)
        self._revision = 0

    def sequence(self, vectors: ItemVectors, known: Rows, longest: int) -> Rows:
        """Of the known rows the last that have a vector."""
        if self._known is not known or self._revision != vectors.revision:
            self._sequence = vectors.with_vector(known)[-longest:]
            self._known, self._revision = known, vectors.revision
        return self._sequence


class RememberedPast:
    """A user's past with what has been worked out of it; a new state begins anew.

    Args:
        state: the past.

    Attributes:
        lasts: whether it is remembered after the request: what is worth keeping only then need not be kept.
    """

    def __init__(self, state: SequenceState) -> None:
        self.state = state
        self.lasts = False
        self._newest = _Rows()
        self._versions: list[_Under] = []

    @classmethod
    def of(cls, past: "History") -> "RememberedPast":
        """The past as it is remembered; of a bare state nothing is yet."""
        return past if isinstance(past, RememberedPast) else cls(past)

    @cached_property
    def mark(self) -> HistoryMark:
        """Which events these are, for the record of an answer."""
        return HistoryMark(self.state.count, self.state.through, self.state.digest)

    @cached_property
    def _older(self) -> _Rows:
        return _Rows()

    def _under(self, vectors: ItemVectors) -> _Under:
        for one in self._versions:
            if one.vectors() is vectors:
                return one
        self._versions = [one for one in self._versions if one.vectors() is not None][1 - MAX_VERSIONS :]
        self._versions.append(_Under(vectors))
        return self._versions[-1]

    def rows(self, catalogue: Catalogue) -> Rows:
        """Rows of those of the newest items that the catalogue has, oldest first."""
        return self._newest.of(catalogue, self.state.tails, catalogue.rows_of_seen)

    def older_rows(self, catalogue: Catalogue) -> Rows:
        """Rows of the items that only older events have made seen."""
        return self._older.of(catalogue, self.state.older_ids, catalogue.rows)

    def seen_rows(self, catalogue: Catalogue) -> Rows:
        """Rows of everything that any event has made seen; some may come twice."""
        newest = self.rows(catalogue)
        return np.concatenate([newest, self.older_rows(catalogue)]) if self.state.older else newest

    def sequence(self, catalogue: Catalogue, vectors: ItemVectors, *, longest: int) -> Rows:
        """Rows of the newest items with a vector, at most `longest`, oldest first: what makes the user."""
        return self._under(vectors).sequence(vectors, self.rows(catalogue), longest)

    def user(self, vectors: ItemVectors, sequence: Rows) -> NDArray[np.float32] | None:
        """The user's vector [d] made from these rows of a version's vectors, if it is known and none has changed."""
        kept = self._under(vectors).user
        return kept.values if kept is not None and kept.holds(vectors, sequence) else None

    def keep_user(self, vectors: ItemVectors, user: UserVector) -> None:
        """Remember what the version of these vectors has made of the user."""
        self._under(vectors).user = user

    def shortlist(self, vectors: ItemVectors, user: NDArray[np.float32]) -> Shortlist | None:
        """What was found for this vector of the user, unless any item's vector has changed since."""
        kept = self._under(vectors).shortlist
        return kept if kept is not None and kept.user is user and kept.revision == vectors.revision else None

    def keep_shortlist(self, vectors: ItemVectors, shortlist: Shortlist) -> None:
        """Remember what was found."""
        self._under(vectors).shortlist = shortlist


History = SequenceState | RememberedPast
"""A user's past, with or without what has been worked out of it."""
