"""What clients do with imports and exports: order, watch and cancel them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.core.cursor import decode_cursor, encode_cursor
from app.core.errors import InvalidRequest, TransferFileNotFound, TransferNotFound
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.db.session import Transaction
from app.db.tables import JobRow
from app.jobs.repository import JobRepository
from app.jobs.service import JobService
from app.stores.transfers import PathRefused, TransferStore
from app.transfers.kinds import ExportFormat, ImportFormat, TransferKind
from app.transfers.progress import ImportProgress
from app.transfers.schemas import (
    ExportFile,
    ExportOrder,
    ExportPage,
    ExportRead,
    ImportOrder,
    ImportPage,
    ImportProgressRead,
    ImportRead,
)


@dataclass(frozen=True)
class Upload:
    """An uploaded file that has been kept under `path`, below the imports of the project."""

    path: str
    kind: TransferKind
    format: ImportFormat
    name: str
    size_bytes: int


class TransferService:
    """The imports and exports of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, jobs: JobService, store: TransferStore) -> None:
        self._project = project
        self._service = jobs
        self._jobs = JobRepository(transaction)
        self._store = store

    def import_blob(self, order: ImportOrder) -> ImportRead:
        """Import a file of the blob store; raises InvalidRequest."""
        try:
            size_bytes = self._store.import_size(self._project, order.blob)
        except PathRefused as error:
            raise InvalidRequest.of("blob", str(error)) from error
        except FileNotFoundError as error:
            raise InvalidRequest.of("blob", "there is no such file below the imports of this project") from error
        form = order.format or format_of(order.blob, field="blob")
        payload = {"kind": order.kind, "format": form, "path": order.blob, "source": order.blob}
        row = self._service.enqueue(
            self._project, JobKind.IMPORT, {**payload, "size_bytes": size_bytes, "uploaded": False}
        )
        return read_import(row)

    def import_upload(self, upload: Upload) -> ImportRead:
        """Import an uploaded file."""
        payload = {"kind": upload.kind, "format": upload.format, "path": upload.path, "source": upload.name}
        row = self._service.enqueue(
            self._project, JobKind.IMPORT, {**payload, "size_bytes": upload.size_bytes, "uploaded": True}
        )
        return read_import(row)

    def export(self, order: ExportOrder) -> ExportRead:
        """Queue an export."""
        return read_export(self._service.enqueue(self._project, JobKind.EXPORT, order.model_dump(mode="json")))

    def get_import(self, import_id: UUID) -> ImportRead:
        """One import; raises TransferNotFound."""
        return read_import(self._found(self._jobs.get(self._project, import_id), JobKind.IMPORT, import_id))

    def get_export(self, export_id: UUID) -> ExportRead:
        """One export; raises TransferNotFound."""
        return read_export(self._found(self._jobs.get(self._project, export_id), JobKind.EXPORT, export_id))

    def export_file(self, export_id: UUID, name: str) -> ExportFile:
        """A file of an export; raises TransferNotFound or TransferFileNotFound."""
        for file in self.get_export(export_id).files:
            if file.name == name:
                return file
        raise TransferFileNotFound(name)

    def cancel_import(self, import_id: UUID) -> ImportRead:
        """Stop it; what it has written stays. Raises TransferNotFound."""
        self.get_import(import_id)
        return read_import(self._found(self._jobs.cancel(self._project, import_id), JobKind.IMPORT, import_id))

    def cancel_export(self, export_id: UUID) -> ExportRead:
        """Stop it. Raises TransferNotFound."""
        self.get_export(export_id)
        return read_export(self._found(self._jobs.cancel(self._project, export_id), JobKind.EXPORT, export_id))

    def imports(self, *, limit: int, cursor: str | None) -> ImportPage:
        """Some imports, newest first."""
        rows, next_cursor = self._page(JobKind.IMPORT, limit, cursor)
        return ImportPage(imports=[read_import(row) for row in rows], next_cursor=next_cursor)

    def exports(self, *, limit: int, cursor: str | None) -> ExportPage:
        """Some exports, newest first."""
        rows, next_cursor = self._page(JobKind.EXPORT, limit, cursor)
        return ExportPage(exports=[read_export(row) for row in rows], next_cursor=next_cursor)

    def _page(self, kind: JobKind, limit: int, cursor: str | None) -> tuple[Sequence[JobRow], str | None]:
        rows = self._jobs.page(
            self._project, kind, limit=limit + 1, before=decode_cursor(cursor, UUID)[0] if cursor else None
        )
        return rows[:limit], encode_cursor(rows[limit - 1].id) if len(rows) > limit else None

    def _found(self, row: JobRow | None, kind: JobKind, transfer_id: UUID) -> JobRow:
        if row is None or row.kind != kind:
            raise TransferNotFound(transfer_id)
        return row


def format_of(name: str, *, field: str) -> ImportFormat:
    """What the end of a file's name says; raises InvalidRequest."""
    ending = name.rpartition(".")[2].lower()
    try:
        return ImportFormat({"jsonl": "ndjson"}.get(ending, ending))
    except ValueError as error:
        known = ", ".join(ImportFormat)
        raise InvalidRequest.of(field, f"its name does not end with a format ({known}): say which it is") from error


def read_import(row: JobRow) -> ImportRead:
    """A job row as clients may see it."""
    progress = ImportProgress.model_validate(row.progress or {})
    payload = row.payload
    return ImportRead(
        id=row.id,
        state=JobState(row.state),
        kind=TransferKind(payload["kind"]),
        format=ImportFormat(payload["format"]),
        source=payload["source"],
        attempts=row.attempts,
        progress=ImportProgressRead(
            **progress.summary.model_dump(), position=progress.position, size_bytes=payload["size_bytes"]
        ),
        errors=progress.errors,
        rejects=f"/admin/imports/{row.id}/rejects" if progress.summary.rejected else None,
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def read_export(row: JobRow) -> ExportRead:
    """A job row as clients may see it."""
    result = row.result or {}
    return ExportRead(
        id=row.id,
        state=JobState(row.state),
        kind=TransferKind(row.payload["kind"]),
        format=ExportFormat(row.payload["format"]),
        since=row.payload["since"],
        until=row.payload["until"],
        attempts=row.attempts,
        progress=row.progress,
        rows=result.get("rows"),
        files=[
            ExportFile(**file, url=f"/admin/exports/{row.id}/files/{file['name']}") for file in result.get("files", [])
        ],
        error=row.error,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
