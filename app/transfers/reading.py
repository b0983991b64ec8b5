"""Reads the file of an import in chunks, from any place on."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from app.core.errors import InvalidRequest, TransferFailed
from app.transfers.chunks import Chunk, ChunkSize, TextChunker, chunks_of
from app.transfers.decoding import Line, check_columns, nested
from app.transfers.kinds import ImportFormat, TransferKind
from app.transfers.writing import CHUNK_BYTES, CHUNK_LINES

PIECE_BYTES = 1 << 18
MAX_ROW_GROUP_BYTES = 1 << 30
"""Unpacked: as much of a Parquet file is in memory at once."""


def read_chunks(
    file: BinaryIO, form: ImportFormat, kind: TransferKind, *, position: int, next_line: int, line_limit_bytes: int
) -> Iterator[Chunk]:
    """The chunks of a file from a chunk's `position` and `next_line` on; 0 and 1 for all of it.

    Raises:
        TransferFailed: It is not of this format, or has columns that are unknown.
    """
    try:
        if form is ImportFormat.PARQUET:
            yield from _parquet(file, kind, skip=position)
            return
        size = ChunkSize(CHUNK_LINES, CHUNK_BYTES)
        chunker = TextChunker(form, kind, size=size, line_limit_bytes=line_limit_bytes)
        yield from _text(file, chunker, position=position, next_line=next_line)
    except InvalidRequest as error:
        raise TransferFailed(error.detail) from error
    except pa.ArrowException as error:
        raise TransferFailed(f"The file cannot be read as {form}: {error}") from error


def _text(file: BinaryIO, chunker: TextChunker, *, position: int, next_line: int) -> Iterator[Chunk]:
    if position:
        # The header is read again: with it the rest can be understood.
        while not chunker.ready and (piece := file.read(1 << 12)):
            for _ in chunker.feed(piece):
                pass
        chunker.go_on(position=position, number=next_line)
        file.seek(position)
    yield from chunks_of(iter(lambda: file.read(PIECE_BYTES), b""), chunker)


def _parquet(file: BinaryIO, kind: TransferKind, *, skip: int) -> Iterator[Chunk]:
    with pq.ParquetFile(file) as table:
        check_columns(table.schema_arrow.names, kind)
        begun = 0
        for number in range(table.num_row_groups):
            group = table.metadata.row_group(number)
            if group.total_byte_size > MAX_ROW_GROUP_BYTES:
                limit = f"{MAX_ROW_GROUP_BYTES:,} bytes"
                raise TransferFailed(f"Row group {number} of the file is larger than the limit of {limit}.")
            if begun + group.num_rows > skip:
                yield from _row_group(table, number, begun=begun, skip=max(0, skip - begun))
            begun += group.num_rows


def _row_group(table: pq.ParquetFile, number: int, *, begun: int, skip: int) -> Iterator[Chunk]:
    row = begun
    for batch in table.iter_batches(CHUNK_LINES, row_groups=[number], use_threads=False):
        past = row + batch.num_rows
        if past > begun + skip:
            rest = batch.slice(max(0, begun + skip - row))
            first = past - rest.num_rows
            lines = [_line(first + offset + 1, values) for offset, values in enumerate(_rows(rest))]
            yield Chunk(lines, past, past + 1)
        row = past


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Times to the microsecond, as the database keeps them; those without a zone are UTC."""
    columns = [
        column.cast(pa.timestamp("us", "UTC"), safe=False) if pa.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]
    rows: list[dict[str, Any]] = pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()
    return rows


def _line(number: int, row: dict[str, Any]) -> Line:
    try:
        return Line(number, nested(row))
    except (ValueError, TypeError) as error:
        return Line(number, error=f"is not a row of this kind: {error}")
