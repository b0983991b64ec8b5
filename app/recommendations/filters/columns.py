"""One value of every item as arrays: numbers, dictionary-coded strings, and the elements of lists."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.recommendations.filters.ragged import Ragged, among
from app.recommendations.filters.syntax import Kind, Literal, Operator

MISSING: Any = object()
"""Stands for a value that an item does not have; null is a value."""
SPARE_CODES = 4_096
GROWTH = 1.5


class Stored(IntEnum):
    """What a row holds."""

    MISSING = 0
    NUMBER = 1
    STRING = 2
    OTHER = 3
    """A boolean, null, a list, or an object, of which only the existence counts."""


_NESTED = frozenset({list, dict})
_STORED = {int: Stored.NUMBER, float: Stored.NUMBER, str: Stored.STRING}


class Column:
    """Values by row; arrays that no value needs are not allocated.

    Every string, boolean and null, alone or in a list, and every number in a list has a code. A list is equal to each
    of its elements; only numbers and strings that stand alone have an order.

    Args:
        values: of the rows from 0 on.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self._stored = np.zeros(len(values), np.uint8)
        self._numbers = np.full(0, np.nan)
        self._codes = np.full(0, -1, np.int32)
        self._lists = Ragged()
        self._code_of: dict[Any, int] = {}
        self._strings: list[str] = []
        self._places = np.zeros(0, np.int32)
        self._fill(values)

    def _fill(self, values: Sequence[Any]) -> None:
        """As `_write` does for each row, kind by kind."""
        kinds = list(map(type, values))
        for kind in set(kinds) - {type(MISSING)}:
            rows = [row for row, other in enumerate(kinds) if other is kind]
            held = [values[row] for row in rows]
            self._stored[rows] = _STORED.get(kind, Stored.OTHER)
            if kind in (int, float):
                self._numbers = self._numbers if len(self._numbers) else np.full(len(values), np.nan)
                self._numbers[rows] = list(map(as_float, held))
            elif kind in (str, bool, type(None)):
                self._codes = self._codes if len(self._codes) else np.full(len(values), -1, np.int32)
                self._codes[rows] = self._all_codes(held)
            elif kind in (list, tuple):
                self._fill_lists(rows, held)

    def _fill_lists(self, rows: Sequence[int], lists: Sequence[Sequence[Any]]) -> None:
        elements = list(chain.from_iterable(lists))
        if not _NESTED.isdisjoint(map(type, elements)):
            lists = [[one for one in value if type(one) not in _NESTED] for value in lists]
            elements = list(chain.from_iterable(lists))
        self._lists.fill(rows, list(map(len, lists)), self._all_codes(elements))

    def _all_codes(self, values: Sequence[Any]) -> list[int]:
        if set(map(type, values)) <= {str}:
            for value in dict.fromkeys(values):
                self._code(value)
            return list(map(self._code_of.__getitem__, values))
        return [self._code(value) for value in values]

    @property
    def size_bytes(self) -> int:
        """Memory of the arrays; the dictionary holds references to strings that the items hold too."""
        arrays = (self._stored, self._numbers, self._codes, self._places)
        return sum(array.nbytes for array in arrays) + self._lists.size_bytes

    @property
    def is_worn(self) -> bool:
        """Whether most codes stand for values that no row has any more."""
        return len(self._code_of) > SPARE_CODES + 2 * (len(self._codes) + len(self._lists))

    def set(self, row: int, value: Any) -> None:
        """Replace a row's value, or give a new row one."""
        if row >= len(self._stored):
            self._grow(int(row * GROWTH) + 1)
        self._stored[row] = Stored.MISSING
        if len(self._numbers):
            self._numbers[row] = np.nan
        if len(self._codes):
            self._codes[row] = -1
        self._lists.drop(row)
        if value is not MISSING:
            self._write(row, value)

    def _grow(self, capacity: int) -> None:
        more = capacity - len(self._stored)
        self._stored = np.append(self._stored, np.zeros(more, np.uint8))
        if len(self._numbers):
            self._numbers = np.append(self._numbers, np.full(more, np.nan))
        if len(self._codes):
            self._codes = np.append(self._codes, np.full(more, -1, np.int32))

    def _write(self, row: int, value: Any) -> None:
        if isinstance(value, str):
            self._stored[row] = Stored.STRING
            self._write_code(row, value)
        elif isinstance(value, bool) or value is None:
            self._stored[row] = Stored.OTHER
            self._write_code(row, value)
        elif isinstance(value, int | float):
            self._stored[row] = Stored.NUMBER
            if not len(self._numbers):
                self._numbers = np.full(len(self._stored), np.nan)
            self._numbers[row] = as_float(value)
        else:
            self._stored[row] = Stored.OTHER
            if isinstance(value, list | tuple):
                self._lists.put(row, [self._code(one) for one in value if type(one) not in _NESTED])

    def _write_code(self, row: int, value: str | bool | None) -> None:
        if not len(self._codes):
            self._codes = np.full(len(self._stored), -1, np.int32)
        self._codes[row] = self._code(value)

    def _code(self, value: Any) -> int:
        key = value if type(value) is str else _key(value)
        return self._code_of.setdefault(key, len(self._code_of))

    def exists(self, rows: int) -> NDArray[np.bool_]:
        """Which of the first rows have a value, null or a list without elements included [rows]."""
        found: NDArray[np.bool_] = self._stored[:rows] != Stored.MISSING
        return found

    def equal(self, literals: Iterable[Literal], rows: int) -> NDArray[np.bool_]:
        """Which of the first rows are, or contain, one of the literals [rows]."""
        found = np.zeros(rows, bool)
        codes = []
        for literal in literals:
            if literal.kind is Kind.NUMBER and len(self._numbers):
                found |= self._numbers[:rows] == literal.value
            code = self._code_of.get(_key(literal.value))
            if code is not None:
                codes.append(code)
        if codes and len(self._codes):
            found |= among(self._codes[:rows], codes)
        if codes:
            self._lists.mark(codes, found)
        return found

    def ordered(self, operator: Operator, literal: Literal, rows: int) -> NDArray[np.bool_]:
        """Which of the first rows stand on that side of the literal [rows]."""
        if literal.kind is not Kind.STRING:
            return (
                compare(self._numbers[:rows], operator, literal.value) if len(self._numbers) else np.zeros(rows, bool)
            )
        if not len(self._codes):
            return np.zeros(rows, bool)
        self._sort()
        # Strings up to the literal, or below it, are the first ones of the sorted dictionary.
        bisect = bisect_right if operator in (Operator.AT_MOST, Operator.ABOVE) else bisect_left
        place = bisect(self._strings, str(literal.value))
        is_below = operator in (Operator.BELOW, Operator.AT_MOST)
        places = self._places[self._codes[:rows]]
        found: NDArray[np.bool_] = places < place if is_below else places >= place
        found &= self._stored[:rows] == Stored.STRING
        return found

    def _sort(self) -> None:
        """Bring the places of the codes in the order of their strings up to date; the last one is that of code -1."""
        if len(self._places) == len(self._code_of) + 1:
            return
        self._strings = sorted(key for key in self._code_of if isinstance(key, str))
        self._places = np.zeros(len(self._code_of) + 1, np.int32)
        self._places[[self._code_of[key] for key in self._strings]] = np.arange(len(self._strings), dtype=np.int32)


def _key(value: Any) -> Any:
    """A key of the dictionary: numbers as floats, and true apart from 1."""
    if isinstance(value, bool):
        return (value,)
    return as_float(value) if isinstance(value, int) else value


def as_float(number: float) -> float:
    """A number as filters compare it: in double precision, infinite beyond that."""
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def compare(numbers: NDArray[np.float64], operator: Operator, value: Any) -> NDArray[np.bool_]:
    """Numbers [n] against one; what is not a number is on no side."""
    found: NDArray[np.bool_]
    match operator:
        case Operator.BELOW:
            found = numbers < value
        case Operator.AT_MOST:
            found = numbers <= value
        case Operator.ABOVE:
            found = numbers > value
        case _:
            found = numbers >= value
    return found
