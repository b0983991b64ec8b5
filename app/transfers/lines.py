"""Cuts a stream of bytes into lines without ever holding more than one of them."""

from collections.abc import Iterator
from dataclasses import dataclass

NEWLINE = b"\n"


@dataclass(frozen=True, slots=True)
class RawLine:
    """One line, or one CSV record of several.

    Attributes:
        number: of its first line, from 1.
        data: without the end of the line; None if it is longer than the limit.
        end: bytes from the beginning of the stream to the next line.
        next_number: of the next line.
    """

    number: int
    data: bytes | None
    end: int
    next_number: int


class LineSplitter:
    """Finds the ends of lines; blank lines are counted and left out.

    Args:
        limit_bytes: of a line; of a longer one only the number is kept.
        quoted: a line end between double quotes belongs to the record, as in CSV (RFC 4180).
    """

    def __init__(self, *, limit_bytes: int, quoted: bool = False) -> None:
        self._limit_bytes = limit_bytes
        self._quoted = quoted
        self._offset = 0
        self._number = self._begun_at = 1
        self._held = bytearray()
        self._too_long = False
        self._open = False

    def go_on(self, *, offset: int, number: int) -> None:
        """Begin with the line of that number, `offset` bytes after the beginning."""
        self._offset = offset
        self._number = self._begun_at = number
        self._held.clear()
        self._open = self._too_long = False

    def feed(self, data: bytes) -> Iterator[RawLine]:
        """The lines that end in `data`."""
        *whole, rest = data.split(NEWLINE)
        for piece in whole:
            self._offset += len(piece) + 1
            self._number += 1
            self._take(piece)
            if self._open and not self._too_long:
                self._held += NEWLINE
                continue
            yield from self._end()
        self._offset += len(rest)
        self._take(rest)

    def finish(self) -> Iterator[RawLine]:
        """The last line, if the stream does not end with the end of one."""
        if self._held or self._too_long:
            self._number += 1
            yield from self._end()

    def _take(self, piece: bytes) -> None:
        if self._quoted:
            self._open ^= bool(piece.count(b'"') & 1)
        if len(self._held) + len(piece) > self._limit_bytes:
            self._too_long = True
            self._held.clear()
        elif not self._too_long:
            self._held += piece

    def _end(self) -> Iterator[RawLine]:
        data = None if self._too_long else bytes(self._held)
        begun_at, self._begun_at = self._begun_at, self._number
        self._held.clear()
        self._too_long = self._open = False
        if data is None or data.strip():
            yield RawLine(begun_at, data, self._offset, self._number)
