"""Shapes of imports and exports on the wire."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.core.types import JobState
from app.transfers.kinds import ExportFormat, ImportFormat, TransferKind
from app.transfers.results import LineRead, Summary


class ImportOrder(BaseModel):
    """A file to import: `blob` is its path below the folder `imports/<project number>/` of the blob store.

    Without `format` the end of its name says what it is.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "items", "blob": "2026/items.parquet"}]}
    )

    kind: TransferKind
    format: ImportFormat | None = None
    blob: Annotated[str, Field(min_length=1, max_length=1_000)]


class ImportProgressRead(Summary):
    """How many lines have been read, and what became of them."""

    position: int = Field(description="Bytes of the file, or rows of a Parquet file, that have been dealt with.")
    size_bytes: int | None


class TransferRead(BaseModel):
    """What imports and exports have in common."""

    id: UUID
    state: JobState
    kind: TransferKind
    attempts: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class ImportRead(TransferRead):
    """An import. `errors` are the first hundred rejected lines; at `rejects` are all of them, as JSON lines."""

    format: ImportFormat
    source: str
    progress: ImportProgressRead
    errors: list[LineRead]
    rejects: str | None


class ImportPage(BaseModel):
    """Some imports, newest first."""

    imports: list[ImportRead]
    next_cursor: str | None


class ExportOrder(BaseModel):
    """What to export: items changed, or events that happened, from `since` on and before `until`."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "events", "since": "2026-01-01T00:00:00Z"}]}
    )

    kind: TransferKind
    format: ExportFormat = ExportFormat.PARQUET
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class ExportFile(BaseModel):
    """A file of an export; `url` leads to it."""

    name: str
    rows: int
    size_bytes: int
    url: str


class ExportRead(TransferRead):
    """An export; its files are there once it has succeeded."""

    format: ExportFormat
    since: datetime | None
    until: datetime | None
    progress: dict[str, Any] | None
    rows: int | None
    files: list[ExportFile]


class ExportPage(BaseModel):
    """Some exports, newest first."""

    exports: list[ExportRead]
    next_cursor: str | None
