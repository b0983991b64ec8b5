"""Reads what an import is ordered by: a form with the file, or JSON with the path of one that is there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import Request
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData, UploadFile

from app.api.bodies import body_within
from app.api.uploads import invalid
from app.core.errors import CrossanError, InvalidRequest
from app.core.types import ProjectId
from app.stores.transfers import TransferStore
from app.transfers.kinds import ImportFormat, TransferKind
from app.transfers.schemas import ImportOrder
from app.transfers.service import Upload, format_of

MAX_NAME_CHARACTERS = 200
FILE_PART = "file"
ORDER_BYTES = 1 << 16


async def blob_order(request: Request) -> ImportOrder:
    """The JSON body; raises InvalidRequest."""
    try:
        return ImportOrder.model_validate_json(await body_within(request, limit_bytes=ORDER_BYTES))
    except ValidationError as error:
        raise invalid(error, prefix=()) from error


@asynccontextmanager
async def kept_upload(request: Request, store: TransferStore, project: ProjectId) -> AsyncIterator[Upload]:
    """The file of a form, kept unless its import can't be ordered. Raises InvalidRequest."""
    upload = await _kept(request, store, project)
    try:
        yield upload
    except (CrossanError, SQLAlchemyError):
        await anyio.to_thread.run_sync(store.discard_upload, project, upload.path)
        raise


async def _kept(request: Request, store: TransferStore, project: ProjectId) -> Upload:
    """Keep the file; it lies on disk from the first megabyte on."""
    async with request.form(max_files=1, max_fields=2) as form:
        file = form.get(FILE_PART)
        if not isinstance(file, UploadFile):
            raise InvalidRequest.of(FILE_PART, "is missing")
        kind, form_at = _kind(form), _format(form, file)
        path = await anyio.to_thread.run_sync(store.save_upload, project, file.file)
        name = (file.filename or FILE_PART)[:MAX_NAME_CHARACTERS].replace("\x00", "").encode(errors="replace").decode()
        return Upload(path=path, kind=kind, format=form_at, name=name, size_bytes=file.size or 0)


def _kind(form: FormData) -> TransferKind:
    try:
        return TransferKind(str(form.get("kind", "")))
    except ValueError as error:
        raise InvalidRequest.of("kind", f"must be one of: {', '.join(TransferKind)}") from error


def _format(form: FormData, file: UploadFile) -> ImportFormat:
    if "format" not in form:
        return format_of(file.filename or "", field=FILE_PART)
    try:
        return ImportFormat(str(form["format"]))
    except ValueError as error:
        raise InvalidRequest.of("format", f"must be one of: {', '.join(ImportFormat)}") from error
