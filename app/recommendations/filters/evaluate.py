"""Finds the rows that a filter lets through: columns and masks, kept for as long as they are asked for."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.recommendations.filters.columns import MISSING, Column, compare
from app.recommendations.filters.syntax import (
    And,
    Comparison,
    Exists,
    Filter,
    Literal,
    Membership,
    Node,
    Not,
    Operator,
    Or,
    Path,
    Source,
)

MAX_COLUMNS = 64
MAX_MASKS = 64


class Items(Protocol):
    """The items that are filtered; `Catalogue` is one."""

    ids: list[str]

    def __len__(self) -> int: ...

    @property
    def published(self) -> NDArray[np.float64]:
        """Times of publication in seconds since 1970 [n], minus infinity where there is none."""

    def categories(self, row: int) -> Sequence[str]:
        """An item's categories."""

    def attributes(self, row: int) -> Mapping[str, Any]:
        """An item's attributes."""


class Operand(Protocol):
    """One value of every item, as a comparison needs it."""

    def exists(self, rows: int) -> NDArray[np.bool_]:
        """Which rows have a value [rows]."""

    def equal(self, literals: Iterable[Literal], rows: int) -> NDArray[np.bool_]:
        """Which rows are, or contain, one of the literals [rows]."""

    def ordered(self, operator: Operator, literal: Literal, rows: int) -> NDArray[np.bool_]:
        """Which rows stand on that side of the literal [rows]."""


class Times:
    """Times of publication as an operand.

    Args:
        seconds: since 1970 [n], minus infinity where there is none.
    """

    def __init__(self, seconds: NDArray[np.float64]) -> None:
        self._seconds = np.where(np.isfinite(seconds), seconds, np.nan)

    def exists(self, rows: int) -> NDArray[np.bool_]:
        """Which items have one [n]."""
        found: NDArray[np.bool_] = ~np.isnan(self._seconds)
        return found

    def equal(self, literals: Iterable[Literal], rows: int) -> NDArray[np.bool_]:
        """Which items were published at one of these times [n]."""
        return reduce(np.logical_or, (self._seconds == literal.value for literal in literals))

    def ordered(self, operator: Operator, literal: Literal, rows: int) -> NDArray[np.bool_]:
        """Which items were published before or after that time [n]."""
        return compare(self._seconds, operator, literal.value)


class FilterEngine:
    """Columns of the paths that filters name, built on first use and kept up to date; and the masks of filters.

    Args:
        items: what is filtered.
    """

    def __init__(self, items: Items) -> None:
        self._items = items
        self._columns: OrderedDict[Path, Column] = OrderedDict()
        self._masks: OrderedDict[str, NDArray[np.bool_]] = OrderedDict()
        self._times: Times | None = None

    @property
    def size_bytes(self) -> int:
        """Memory of columns and masks."""
        masks = sum(mask.nbytes for mask in self._masks.values())
        return masks + sum(column.size_bytes for column in self._columns.values())

    @property
    def paths(self) -> list[Path]:
        """Those that there are columns of."""
        return list(self._columns)

    def matches(self, wanted: Filter) -> NDArray[np.bool_]:
        """Which items the filter lets through [n]; not to be changed, the same again until items change."""
        mask = self._masks.get(wanted.text)
        if mask is None:
            mask = self._masks[wanted.text] = self._evaluate(wanted.root)
            mask.flags.writeable = False
            if len(self._masks) > MAX_MASKS:
                self._masks.popitem(last=False)
        self._masks.move_to_end(wanted.text)
        return mask

    def changed(self, rows: Iterable[int]) -> None:
        """Take over what these rows are now."""
        self._masks.clear()
        self._times = None
        rows = list(rows)
        for path, column in list(self._columns.items()):
            values = self._values(path, rows)
            for row, value in zip(rows, values, strict=True):
                column.set(row, value)
            if column.is_worn:
                del self._columns[path]

    def _evaluate(self, node: Node) -> NDArray[np.bool_]:
        rows = len(self._items)
        match node:
            case And(parts):
                return reduce(np.logical_and, (self._evaluate(part) for part in parts))
            case Or(parts):
                return reduce(np.logical_or, (self._evaluate(part) for part in parts))
            case Not(part):
                return ~self._evaluate(part)
            case Exists(path):
                return self._operand(path).exists(rows)
            case Membership(path, literals):
                return self._operand(path).equal(literals, rows)
            case Comparison(path, operator, literal):
                return self._compare(self._operand(path), operator, literal)

    def _compare(self, operand: Operand, operator: Operator, literal: Literal) -> NDArray[np.bool_]:
        rows = len(self._items)
        if operator.is_order:
            return operand.ordered(operator, literal, rows)
        equal = operand.equal((literal,), rows)
        return equal if operator is Operator.EQUAL else operand.exists(rows) & ~equal

    def _operand(self, path: Path) -> Operand:
        if path.source is Source.PUBLISHED_AT:
            self._times = self._times or Times(self._items.published)
            return self._times
        column = self._columns.get(path)
        if column is None:
            column = self._columns[path] = Column(self._values(path, range(len(self._items))))
            if len(self._columns) > MAX_COLUMNS:
                self._columns.popitem(last=False)
        self._columns.move_to_end(path)
        return column

    def _values(self, path: Path, rows: Sequence[int]) -> list[Any]:
        if path.source is Source.ITEM_ID:
            return [self._items.ids[row] for row in rows]
        if path.source is Source.CATEGORIES:
            return [self._items.categories(row) or MISSING for row in rows]
        first, *deeper = path.keys
        values = [self._items.attributes(row).get(first, MISSING) for row in rows]
        for key in deeper:
            values = [value.get(key, MISSING) if isinstance(value, dict) else MISSING for value in values]
        return values
