"""What has been worked out of one user's past, kept as long as it holds: rows, the user vector, the best candidates.

Nothing here is an answer by itself: a ranking looks here first and works out what is missing, with the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from app.impressions.record import HistoryMark
from app.recommendations.catalogue import Catalogue
from app.recommendations.shortlist import Shortlist
from app.recommendations.vectors import ItemVectors
from app.stores.sequence_state import SequenceState

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class UserVector:
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


class _Sequence(NamedTuple):
    """Rows of a sequence, which hold as long as the rows of the items and the revision of the vectors do."""

    rows: Rows
    known: Rows
    revision: int


class _Rows:
    """The rows of some items, looked up again only when that may give something else."""

    def __init__(self) -> None:
        self._catalogue: ref[Catalogue] | None = None
        self._size = 0
        self._found: Rows = np.empty(0, np.intp)

    def of(self, catalogue: Catalogue, item_ids: Sequence[str]) -> Rows:
        """Rows of those items that the catalogue has, in order; the items are the same each time."""
        is_same = self._catalogue is not None and self._catalogue() is catalogue
        # One that was unknown may have come since; one that is known keeps its row.
        if not is_same or (len(self._found) < len(item_ids) and self._size != len(catalogue)):
            self._found = np.asarray(catalogue.rows(item_ids), np.intp)
            self._catalogue, self._size = ref(catalogue), len(catalogue)
        return self._found


class RememberedPast:
    """A user's past with what has been worked out of it; a new state begins anew.

    Args:
        state: the past.
    """

    def __init__(self, state: SequenceState) -> None:
        self.state = state
        self._newest = _Rows()
        self._older = _Rows()
        self._sequences: WeakKeyDictionary[ItemVectors, _Sequence] = WeakKeyDictionary()
        self._users: WeakKeyDictionary[ItemVectors, UserVector] = WeakKeyDictionary()
        self._shortlists: WeakKeyDictionary[ItemVectors, Shortlist] = WeakKeyDictionary()

    @classmethod
    def of(cls, past: "History") -> "RememberedPast":
        """The past as it is remembered; of a bare state nothing is yet."""
        return past if isinstance(past, RememberedPast) else cls(past)

    @cached_property
    def mark(self) -> HistoryMark:
        """Which events these are, for the record of an answer."""
        return HistoryMark(len(self.state.members), self.state.through, self.state.digest)

    def rows(self, catalogue: Catalogue) -> Rows:
        """Rows of those of the newest items that the catalogue has, oldest first."""
        return self._newest.of(catalogue, self.state.item_ids)

    def older_rows(self, catalogue: Catalogue) -> Rows:
        """Rows of the items that only older events have made seen."""
        return self._older.of(catalogue, self.state.older_ids)

    def sequence(self, catalogue: Catalogue, vectors: ItemVectors, *, longest: int) -> Rows:
        """Rows of the newest items with a vector, at most `longest`, oldest first: what makes the user."""
        known = self.rows(catalogue)
        kept = self._sequences.get(vectors)
        if kept is None or kept.known is not known or kept.revision != vectors.revision:
            rows = vectors.with_vector(known)[-longest:]
            kept = self._sequences[vectors] = _Sequence(rows, known, vectors.revision)
        return kept.rows

    def user(self, vectors: ItemVectors, sequence: Rows) -> NDArray[np.float32] | None:
        """The user's vector [d] made from these rows of a version's vectors, if it is known and none has changed."""
        kept = self._users.get(vectors)
        return kept.values if kept is not None and kept.holds(vectors, sequence) else None

    def keep_user(self, vectors: ItemVectors, user: UserVector) -> None:
        """Remember what the version of these vectors has made of the user."""
        self._users[vectors] = user

    def shortlist(self, vectors: ItemVectors, user: NDArray[np.float32]) -> Shortlist | None:
        """What was found for this vector of the user, unless any item's vector has changed since."""
        kept = self._shortlists.get(vectors)
        return kept if kept is not None and kept.user is user and kept.revision == vectors.revision else None

    def keep_shortlist(self, vectors: ItemVectors, shortlist: Shortlist) -> None:
        """Remember what was found."""
        self._shortlists[vectors] = shortlist


History = SequenceState | RememberedPast
"""A user's past, with or without what has been worked out of it."""
