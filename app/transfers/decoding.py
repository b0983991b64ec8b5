"""Makes values of lines: JSON, or the cells of a table under their columns."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from pydantic_core import from_json

from app.core.errors import InvalidRequest
from app.transfers.kinds import TransferKind
from app.transfers.lines import RawLine

SEPARATOR = "|"
MARK = b"\xef\xbb\xbf"
"""Some programs begin a text in UTF-8 with it."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says, or why it says nothing."""

    number: int
    value: Any = None
    error: str | None = None


class Decoder(Protocol):
    """Makes a value of a line."""

    def decode(self, raw: RawLine) -> Line:
        """Never raises: what is wrong is said of that line."""


class NdjsonDecoder:
    """One JSON value a line; whole numbers keep every digit."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes

    def decode(self, raw: RawLine) -> Line:
        """Parse it."""
        if raw.data is None:
            return too_long(raw, self._limit_bytes)
        data = raw.data.removeprefix(MARK) if raw.number == 1 else raw.data
        try:
            return Line(raw.number, from_json(data, allow_inf_nan=False))
        except ValueError as error:
            return Line(raw.number, error=f"is not JSON: {error}")


class CsvDecoder:
    """One record a line, under the columns of the header.

    Args:
        header: the first record.
        kind: which columns there may be.
        limit_bytes: of a record.

    Raises:
        InvalidRequest: A column is unknown or there twice.
    """

    def __init__(self, header: RawLine, kind: TransferKind, *, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        if header.data is None:
            raise InvalidRequest.of("header", f"larger than the limit of {limit_bytes:,} bytes")
        try:
            self._columns = _cells(header.data.removeprefix(MARK))
        except (csv.Error, ValueError) as error:
            raise InvalidRequest.of("header", f"is not CSV: {error}") from error
        check_columns(self._columns, kind)

    def decode(self, raw: RawLine) -> Line:
        """Parse it; empty cells say nothing."""
        if raw.data is None:
            return too_long(raw, self._limit_bytes)
        try:
            cells = _cells(raw.data)
            if len(cells) != len(self._columns):
                return Line(raw.number, error=f"has {len(cells)} cells, the header has {len(self._columns)}")
            row = {name: _typed(name, cell) for name, cell in zip(self._columns, cells, strict=True) if cell}
            return Line(raw.number, nested(row))
        except (csv.Error, ValueError) as error:
            return Line(raw.number, error=f"is not CSV: {error}")


def too_long(raw: RawLine, limit_bytes: int) -> Line:
    """Says so of a line past the limit."""
    return Line(raw.number, error=f"larger than the limit of {limit_bytes:,} bytes")


def check_columns(columns: Sequence[str], kind: TransferKind) -> None:
    """Raise InvalidRequest naming the column that is not one of this kind."""
    for name in columns:
        head, dot, tail = name.partition(".")
        if name not in kind.columns and not (dot and tail and head in kind.nested):
            known = ", ".join(sorted(kind.columns))
            raise InvalidRequest.of("header", f"the column '{name[:100]}' is not one of {kind}: {known}")
    if len(set(columns)) != len(columns):
        raise InvalidRequest.of("header", "a column is there twice")


def nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """The value of a row of cells: `attributes` and `media` are JSON, or a column for each of their fields.

    Raises:
        ValueError: A cell is not the JSON it has to be.
    """
    value: dict[str, Any] = {}
    for name, cell in row.items():
        if cell is None:
            continue
        head, _, tail = name.partition(".")
        if not tail:
            whole = _object(cell, name) if name in ("attributes", "media") else cell
            value[name] = {**whole, **value.get(name, {})} if isinstance(whole, dict) else whole
        elif head == "media":
            modality, _, source = tail.rpartition(".")
            value.setdefault(head, {}).setdefault(modality, {})[source] = cell
        else:
            value.setdefault(head, {})[tail] = _jsonable(cell)
    return value


def _object(cell: Any, name: str) -> Any:
    """What a cell with an object holds: JSON in text, or what a table of types has made of it."""
    if isinstance(cell, str):
        try:
            return from_json(cell, allow_inf_nan=False)
        except ValueError as error:
            raise ValueError(f"{name} is not JSON: {error}") from error
    return {key: _jsonable(part) for key, part in dict(cell).items() if part is not None}


def _jsonable(cell: Any) -> Any:
    """Dates and decimal numbers of a table, as JSON has them."""
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    return cell


def _cells(record: bytes) -> list[str]:
    (cells,) = csv.reader([record.decode().removesuffix("\r")], strict=True)
    return cells


def _typed(name: str, cell: str) -> Any:
    """Categories as a list; the cell of an attribute is a number or a truth value where it is written like one."""
    if name == "categories":
        return cell.split(SEPARATOR)
    if name.startswith("attributes."):
        try:
            value = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        return value if is_number else cell
    return cell
