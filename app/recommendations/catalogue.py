"""The items of a project in memory: who they are and who may be shown, kept up to date row by row."""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from sys import intern
from types import MappingProxyType
from typing import Any
from weakref import proxy

import numpy as np
from numpy.typing import NDArray

from app.recommendations.filters.evaluate import FilterEngine
from app.recommendations.filters.syntax import Exists, Filter, Kind, Literal, Membership, Path, Source
from app.stores.sequence_state import type_and_item

GROWTH = 1.5
MIN_ROWS = 1_024
WORN = 0.5
"""Share of rows without an item from which on a catalogue had better be read anew."""
SEEN_KEPT = 200_000
"""Names of seen items whose rows are kept ready: about 150 bytes each."""
NOTHING: Mapping[str, Any] = MappingProxyType({})
NEVER = -np.inf
"""Time of publication of an item without one, in seconds since 1970: it is out at any time."""


@dataclass(frozen=True)
class ItemUpdate:
    """An item as it is now; `deleted` items keep nothing but their id."""

    pk: int
    item_id: str
    title: str = ""
    available: bool = True
    published_at: datetime | None = None
    created_at: datetime | None = None
    categories: Sequence[str] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    deleted: bool = False


class Catalogue:
    """Every item of a project, whatever version ranks them.

    Rows are never removed: a deleted item keeps its row and is not shown. All methods are called from the event
    loop, so a reader never meets half a change.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.row_of: dict[str, int] = {}
        self.deleted = 0
        """Rows whose item is no more."""
        self._row_of_seen: dict[bytes, int] = {}
        self._categories: list[tuple[str, ...]] = []
        self._attributes: list[Mapping[str, Any]] = []
        self._pks = np.zeros(MIN_ROWS, np.int64)
        self._available = np.zeros(MIN_ROWS, bool)
        self._is_deleted = np.zeros(MIN_ROWS, bool)
        self._published = np.zeros(MIN_ROWS, np.float64)
        self._dated = np.zeros(MIN_ROWS, np.float64)
        self._order: NDArray[np.intp] | None = None
        self._shown: _Shown | None = None
        # No cycle: what the garbage collector has frozen is freed by its last reference alone.
        self._filters = FilterEngine(proxy(self))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def is_worn(self) -> bool:
        """Whether most of its memory is held for items that are no more."""
        return self.deleted > max(MIN_ROWS, WORN * len(self))

    @property
    def pks(self) -> NDArray[np.int64]:
        """Numbers of the items in the database [n]: among equals the lower one comes first."""
        return self._pks[: len(self)]

    @property
    def published(self) -> NDArray[np.float64]:
        """Times of publication in seconds since 1970 [n], `NEVER` where there is none."""
        return self._published[: len(self)]

    @property
    def dated(self) -> NDArray[np.float64]:
        """Times of publication or, without one, of arrival, in seconds since 1970 [n]."""
        return self._dated[: len(self)]

    def categories(self, row: int) -> tuple[str, ...]:
        """An item's categories."""
        return self._categories[row]

    def attributes(self, row: int) -> Mapping[str, Any]:
        """An item's attributes; not to be changed."""
        return self._attributes[row]

    def foreseen(self, updates: Iterable[ItemUpdate]) -> Mapping[str, int]:
        """The row of every item, old or new, as it will be once these updates are applied."""
        new = dict.fromkeys(update.item_id for update in updates if update.item_id not in self.row_of)
        return ChainMap({item_id: len(self) + place for place, item_id in enumerate(new)}, self.row_of)

    def foreseen_pks(self, updates: Iterable[ItemUpdate]) -> NDArray[np.int64]:
        """The numbers of the items by row, as they will be once these updates are applied [n]."""
        pks = dict(enumerate(self.pks.tolist()))
        row_of = self.foreseen(updates := list(updates))
        for update in updates:
            pks[row_of[update.item_id]] = update.pk
        return np.fromiter(pks.values(), np.int64, len(pks))

    def apply(self, updates: Iterable[ItemUpdate]) -> None:
        """Write changed items into their rows."""
        rows = [self._write(update) for update in updates]
        if rows:
            self._filters.changed(rows)
            self._order = self._shown = None

    def _write(self, update: ItemUpdate) -> int:
        row = self._row(update.item_id)
        self.titles[row] = update.title
        self._categories[row] = tuple(intern(name) for name in update.categories)
        self._attributes[row] = {intern(name): value for name, value in update.attributes.items()} or NOTHING
        self._pks[row] = update.pk
        self._available[row] = update.available and not update.deleted
        self._published[row] = update.published_at.timestamp() if update.published_at else NEVER
        date = update.published_at or update.created_at
        self._dated[row] = date.timestamp() if date else NEVER
        self.deleted += int(update.deleted) - int(self._is_deleted[row])
        self._is_deleted[row] = update.deleted
        return row

    def _row(self, item_id: str) -> int:
        row = self.row_of.get(item_id)
        if row is None:
            row = self.row_of[item_id] = len(self.ids)
            self.ids.append(item_id)
            self.titles.append("")
            self._categories.append(())
            self._attributes.append(NOTHING)
            if row >= len(self._available):
                self._grow(int(row * GROWTH) + 1)
        return row

    def _grow(self, capacity: int) -> None:
        for name, array in self._arrays().items():
            setattr(self, name, enlarged(array, capacity))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in ("_pks", "_available", "_is_deleted", "_published", "_dated")}

    def rows(self, item_ids: Iterable[str]) -> list[int]:
        """Rows of the items that are known, in the given order."""
        get = self.row_of.get
        return [row for item_id in item_ids if (row := get(item_id)) is not None]

    def rows_of_seen(self, members: Sequence[bytes]) -> list[int]:
        """Rows of the items that are known of some `SeenItem.member`, in the given order; an item keeps its row."""
        rows = [*map(self._row_of_seen.get, members)]
        if None in rows:
            rows = [*map(self._find_seen, members)]
        return [row for row in rows if row is not None]

    def _find_seen(self, member: bytes) -> int | None:
        row = self.row_of.get(type_and_item(member)[1])
        if row is not None:
            if len(self._row_of_seen) >= SEEN_KEPT:
                self._row_of_seen.clear()
            self._row_of_seen[member] = row
        return row

    def showable(self, *, now: float) -> NDArray[np.bool_]:
        """Which rows may be shown [n]: available, and published by `now` (seconds since 1970).

        Read-only, and the same again until an item changes or the next one is published: copy it to write into it.
        """
        shown = self._shown
        if shown is None or not shown.since <= now < shown.until:
            n = len(self)
            shown = self._shown = _Shown.at(now, self._available[:n], self._published[:n])
        return shown.rows

    def in_categories(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Which rows have at least one of the categories [n]."""
        literals = tuple(Literal(Kind.STRING, name) for name in names)
        if not literals:
            return np.zeros(len(self), bool)
        return self._filters.matches(Filter.of(Membership(Path(Source.CATEGORIES), literals)))

    def matches(self, wanted: Filter) -> NDArray[np.bool_]:
        """Which rows a filter lets through [n]; not to be changed, and the same again until an item changes."""
        return self._filters.matches(wanted)

    @property
    def filtered_by(self) -> list[Filter]:
        """Filters that need every column that filters have needed so far."""
        return [Filter.of(Exists(path)) for path in self._filters.paths]

    def by_recency(self) -> NDArray[np.intp]:
        """All rows that are available, the newest first; those to be published later are among them.

        The date is that of publication or, without one, of the item's arrival; the later arrival goes first among
        equals.
        """
        if self._order is None:
            n = len(self)
            order = np.lexsort((-self._pks[:n], -self._dated[:n]))
            self._order = order[self._available[order]]
        return self._order

    @property
    def size_bytes(self) -> int:
        """Memory held by arrays, columns and masks; texts and attributes, which Python holds, are not counted."""
        own = sum(array.nbytes for array in self._arrays().values())
        kept = (self._order, None if self._shown is None else self._shown.rows)
        return own + self._filters.size_bytes + sum(array.nbytes for array in kept if array is not None)


@dataclass(frozen=True)
class _Shown:
    """Rows that may be shown [n] from one moment on until before another one, in seconds since 1970."""

    rows: NDArray[np.bool_]
    since: float
    until: float

    @classmethod
    def at(cls, now: float, available: NDArray[np.bool_], published: NDArray[np.float64]) -> "_Shown":
        rows = available & (published <= now)
        rows.flags.writeable = False
        latest = published[rows].max(initial=NEVER)
        coming = published[available & ~rows].min(initial=np.inf)
        return cls(rows, since=float(latest), until=float(coming))


def enlarged(array: NDArray[Any], capacity: int) -> NDArray[Any]:
    """A copy with room for `capacity` rows, the new ones zero."""
    new = np.zeros((capacity, *array.shape[1:]), array.dtype)
    new[: len(array)] = array
    return new
