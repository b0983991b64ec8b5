"""Gathers lines into chunks, each of which is written in one transaction."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.transfers.decoding import CsvDecoder, Decoder, Line, NdjsonDecoder
from app.transfers.kinds import ImportFormat, TransferKind
from app.transfers.lines import LineSplitter, RawLine


@dataclass(frozen=True)
class Chunk:
    """Some lines in order.

    Attributes:
        lines: as values.
        position: where to go on after them: a number of bytes or of rows.
        next_line: number of the line there.
    """

    lines: Sequence[Line]
    position: int
    next_line: int


@dataclass(frozen=True)
class ChunkSize:
    """A chunk is full at the first of these."""

    lines: int
    size_bytes: int


class TextChunker:
    """Cuts NDJSON or CSV into chunks, whatever the pieces it arrives in.

    Args:
        form: ndjson or csv.
        kind: what a line is.
        size: of a chunk.
        line_limit_bytes: of a line.
    """

    def __init__(self, form: ImportFormat, kind: TransferKind, *, size: ChunkSize, line_limit_bytes: int) -> None:
        self._kind = kind
        self._size = size
        self._line_limit_bytes = line_limit_bytes
        is_table = form is ImportFormat.CSV
        self._splitter = LineSplitter(limit_bytes=line_limit_bytes, quoted=is_table)
        self._decoder: Decoder | None = None if is_table else NdjsonDecoder(line_limit_bytes)
        self._raw: list[RawLine] = []
        self._held_bytes = 0

    @property
    def ready(self) -> bool:
        """Whether what is needed to understand lines has arrived: the header of a table."""
        return self._decoder is not None

    def go_on(self, *, position: int, number: int) -> None:
        """Begin there: what has been fed was only to understand what is fed next."""
        self._raw, self._held_bytes = [], 0
        self._splitter.go_on(offset=position, number=number)

    def feed(self, data: bytes) -> Iterator[Chunk]:
        """The chunks that `data` completes; raises InvalidRequest for a header that is wrong."""
        for raw in self._splitter.feed(data):
            yield from self._add(raw)

    def finish(self) -> Iterator[Chunk]:
        """The last chunk; raises InvalidRequest for a header that is wrong."""
        for raw in self._splitter.finish():
            yield from self._add(raw)
        if self._raw:
            yield self._chunk()

    def _add(self, raw: RawLine) -> Iterator[Chunk]:
        if self._decoder is None:
            self._decoder = CsvDecoder(raw, self._kind, limit_bytes=self._line_limit_bytes)
            return
        self._raw.append(raw)
        self._held_bytes += len(raw.data or b"")
        if len(self._raw) >= self._size.lines or self._held_bytes >= self._size.size_bytes:
            yield self._chunk()

    def _chunk(self) -> Chunk:
        decoder, raws = self._decoder, self._raw
        assert decoder is not None
        self._raw, self._held_bytes = [], 0
        last = raws[-1]
        return Chunk([decoder.decode(raw) for raw in raws], last.end, last.next_number)


def chunks_of(pieces: Iterable[bytes], chunker: TextChunker) -> Iterator[Chunk]:
    """Everything that pieces of text hold."""
    for piece in pieces:
        yield from chunker.feed(piece)
    yield from chunker.finish()
