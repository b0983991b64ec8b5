"""Does an export: one snapshot of the database, read by a cursor, written to files of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, Protocol
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic_core import to_json

from app.db.session import Database
from app.jobs.run import JobRun
from app.stores.blobs import BlobStore
from app.stores.transfers import TransferStore
from app.transfers.kinds import ExportFormat, TransferKind
from app.transfers.rows import COLUMNS, Period, rows_of

BATCH_ROWS = 1_000
"""Rows in memory at once; a row group of a Parquet file."""
PART_ROWS = 200_000


class PartWriter(Protocol):
    """Writes the rows of one file."""

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows."""

    def close(self) -> None:
        """Write what comes last in the file."""


class NdjsonPart:
    """A row a line."""

    def __init__(self, file: BinaryIO, kind: TransferKind) -> None:
        self._file = file

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Without the fields that are null."""
        for row in rows:
            self._file.write(to_json({name: value for name, value in row.items() if value is not None}) + b"\n")

    def close(self) -> None:
        """Nothing comes last."""


class ParquetPart:
    """A row group a batch; attributes and media as JSON, so that every value comes back as it was."""

    def __init__(self, file: BinaryIO, kind: TransferKind) -> None:
        self._schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in COLUMNS[kind]])
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add a row group."""
        texts = [{name: _cell(value) for name, value in row.items()} for row in rows]
        self._writer.write_table(pa.Table.from_pylist(texts, schema=self._schema))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


_TYPES: dict[str, pa.DataType] = {
    "categories": pa.list_(pa.string()),
    "available": pa.bool_(),
    "published_at": pa.timestamp("us", "UTC"),
    "timestamp": pa.timestamp("us", "UTC"),
    "value": pa.float64(),
}
_PARTS: dict[ExportFormat, Callable[[BinaryIO, TransferKind], PartWriter]] = {
    ExportFormat.NDJSON: NdjsonPart,
    ExportFormat.PARQUET: ParquetPart,
}


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return to_json(value).decode()
    return str(value) if isinstance(value, UUID) else value


@dataclass(frozen=True)
class Exporter:
    """Does exports.

    Attributes:
        database: what is exported.
        blobs: hold the texts of items.
        store: takes the files.
    """

    database: Database
    blobs: BlobStore
    store: TransferStore

    def run(self, run: JobRun) -> None:
        """Write all files and finish the job; an attempt before this one has left nothing that counts.

        Raises:
            JobStopped: when the job shall leave off.
        """
        kind, form = TransferKind(run.payload["kind"]), ExportFormat(run.payload["format"])
        self.store.discard(run.project, run.id)
        files: list[dict[str, Any]] = []
        period = Period(*(_time(run.payload[name]) for name in ("since", "until")))
        with self.database.transaction() as transaction:
            transaction.session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            rows = rows_of(transaction, run.project, kind, period=period, blobs=self.blobs, fetch=BATCH_ROWS)
            batches = iter(lambda: list(islice(rows, BATCH_ROWS)), [])
            while (file := self._part(run, batches, form=form, kind=kind, number=len(files))) is not None:
                files.append(file)
        with self.database.transaction() as transaction:
            run.finish(transaction, {"rows": sum(file["rows"] for file in files), "files": files})

    def _part(
        self,
        run: JobRun,
        batches: Iterator[list[dict[str, Any]]],
        *,
        form: ExportFormat,
        kind: TransferKind,
        number: int,
    ) -> dict[str, Any] | None:
        """One file, None when nothing is left; of nothing at all there is an empty one."""
        first = next(batches, None)
        if first is None and number:
            return None
        name = f"part-{number:05}.{form}"
        count = 0
        with ExitStack() as ending:
            file = ending.enter_context(self.store.write_export(run.project, run.id, name))
            part = _PARTS[form](file, kind)
            batch = first
            while batch:
                run.check()
                part.write(batch)
                count += len(batch)
                run.record_progress({"rows": number * PART_ROWS + count, "files": number})
                batch = next(batches, None) if count < PART_ROWS else None
            part.close()
            size_bytes = file.tell()
        return {"name": name, "rows": count, "size_bytes": size_bytes}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
