"""Imports of whole files, and exports into the blob store."""

from typing import Annotated, Any
from uuid import UUID

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from app.api.auth import Admin, documented
from app.api.deps import Cursor, Edge, EdgeDep, Limit
from app.api.file_answers import pieces_of
from app.api.import_uploads import blob_order, kept_upload
from app.core.errors import TransferFileNotFound
from app.core.types import ProjectId
from app.transfers.schemas import ExportOrder, ExportPage, ExportRead, ImportOrder, ImportPage, ImportRead

router = APIRouter(prefix="/admin", tags=["bulk"], dependencies=documented)

MULTIPART = "multipart/form-data"
FileName = Annotated[str, Path(max_length=100, description="The name of a file of the export.")]
_IMPORT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": ImportOrder.model_json_schema(ref_template="#/components/schemas/{model}")},
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "required": ["kind", "file"],
                    "properties": {
                        "kind": {"type": "string", "enum": ["items", "events"]},
                        "format": {"type": "string", "enum": ["ndjson", "csv", "parquet"]},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            },
        },
    }
}


@router.post("/imports", status_code=202, openapi_extra=_IMPORT)
async def create_import(request: Request, response: Response, edge: EdgeDep, principal: Admin) -> ImportRead:
    """Import a file of items or events: uploaded as multipart, or one below `imports/` of the blob store."""
    if request.headers.get("content-type", "").startswith(MULTIPART):
        async with kept_upload(request, edge.context.transfers, principal.project) as upload:
            job = await edge.call(principal.project, lambda services: services.transfers.import_upload(upload))
    else:
        order = await blob_order(request)
        job = await edge.call(principal.project, lambda services: services.transfers.import_blob(order))
    response.headers["Location"] = f"/admin/imports/{job.id}"
    return job


@router.get("/imports")
async def list_imports(edge: EdgeDep, principal: Admin, limit: Limit = 20, cursor: Cursor = None) -> ImportPage:
    """Imports, newest first."""
    return await edge.call(principal.project, lambda services: services.transfers.imports(limit=limit, cursor=cursor))


@router.get("/imports/{import_id}")
async def get_import(import_id: UUID, edge: EdgeDep, principal: Admin) -> ImportRead:
    """How far an import is, with the first rejected lines."""
    return await edge.call(principal.project, lambda services: services.transfers.get_import(import_id))


@router.get("/imports/{import_id}/rejects", response_class=StreamingResponse)
async def get_rejects(import_id: UUID, edge: EdgeDep, principal: Admin) -> StreamingResponse:
    """Every rejected line's answer, as JSON lines."""
    await edge.call(principal.project, lambda services: services.transfers.get_import(import_id))
    rejects = edge.context.transfers.read_rejects(principal.project, import_id)
    return StreamingResponse(rejects, media_type="application/x-ndjson")


@router.delete("/imports/{import_id}", status_code=202)
async def cancel_import(import_id: UUID, edge: EdgeDep, principal: Admin) -> ImportRead:
    """Cancel an import; what it has written stays."""
    return await edge.call(principal.project, lambda services: services.transfers.cancel_import(import_id))


@router.post("/exports", status_code=202)
async def create_export(order: ExportOrder, response: Response, edge: EdgeDep, principal: Admin) -> ExportRead:
    """Write items or events, as they are at one moment, to files of the blob store."""
    job = await edge.call(principal.project, lambda services: services.transfers.export(order))
    response.headers["Location"] = f"/admin/exports/{job.id}"
    return job


@router.get("/exports")
async def list_exports(edge: EdgeDep, principal: Admin, limit: Limit = 20, cursor: Cursor = None) -> ExportPage:
    """Exports, newest first."""
    return await edge.call(principal.project, lambda services: services.transfers.exports(limit=limit, cursor=cursor))


@router.get("/exports/{export_id}")
async def get_export(export_id: UUID, edge: EdgeDep, principal: Admin) -> ExportRead:
    """How far an export is, and its files once it has succeeded."""
    return await edge.call(principal.project, lambda services: services.transfers.get_export(export_id))


@router.get("/exports/{export_id}/files/{name}", response_class=StreamingResponse)
async def get_export_file(export_id: UUID, name: FileName, edge: EdgeDep, principal: Admin) -> StreamingResponse:
    """One file of an export."""
    file = await edge.call(principal.project, lambda services: services.transfers.export_file(export_id, name))
    return await _file(edge, principal.project, export_id, file.name)


async def _file(edge: Edge, project: ProjectId, export_id: UUID, name: str) -> StreamingResponse:
    try:
        opened = await anyio.to_thread.run_sync(edge.context.transfers.open_export, project, export_id, name)
    except FileNotFoundError as error:
        raise TransferFileNotFound(name) from error
    kind = "application/vnd.apache.parquet" if name.endswith(".parquet") else "application/x-ndjson"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(pieces_of(opened), media_type=kind, headers=headers)


@router.delete("/exports/{export_id}", status_code=202)
async def cancel_export(export_id: UUID, edge: EdgeDep, principal: Admin) -> ExportRead:
    """Cancel an export."""
    return await edge.call(principal.project, lambda services: services.transfers.cancel_export(export_id))
