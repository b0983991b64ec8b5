"""Many items or events in one request: a batch as JSON, or a stream of any length."""

from collections.abc import Mapping
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic_core import from_json, to_json

from app.api.auth import Ingester, documented
from app.api.bodies import body_within
from app.api.deps import Edge, EdgeDep
from app.api.line_streams import LineStream, WriteChunk, chunks_of
from app.core.errors import InvalidRequest, UnsupportedContentType
from app.core.types import ProjectId
from app.events.schemas import EventWrite
from app.items.batch import ItemLine
from app.transfers.chunks import ChunkSize, TextChunker
from app.transfers.decoding import Line
from app.transfers.kinds import ImportFormat, TransferKind
from app.transfers.results import BatchReport, Summary
from app.transfers.writing import CHUNK_BYTES, CHUNK_LINES, LineWriter

router = APIRouter(tags=["bulk"], dependencies=documented)

MAX_ITEMS, MAX_EVENTS = 500, 10_000
STREAMS = {
    "application/x-ndjson": ImportFormat.NDJSON,
    "application/ndjson": ImportFormat.NDJSON,
    "application/jsonl": ImportFormat.NDJSON,
    "text/csv": ImportFormat.CSV,
}


def _documented(kind: TransferKind, limit: int) -> dict[str, Any]:
    schema = (ItemLine if kind is TransferKind.ITEMS else EventWrite).model_json_schema()
    one = _inlined(schema, schema.pop("$defs", {}))
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": limit}
    listed = {"type": "object", "properties": {kind.value: many}, "required": [kind.value]}
    text = {"schema": {"type": "string"}}
    body = {"application/json": {"schema": {"anyOf": [many, listed]}}, "application/x-ndjson": text, "text/csv": text}
    return {"requestBody": {"required": True, "content": body}}


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema without references, which would lead nowhere in the document of all routes."""
    if isinstance(node, dict):
        if "$ref" in node:
            return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(value, definitions) for key, value in node.items()}
    return [_inlined(value, definitions) for value in node] if isinstance(node, list) else node


_LINES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}},
}


@router.post(
    "/items:batch",
    response_model=BatchReport,
    responses=_LINES,
    openapi_extra=_documented(TransferKind.ITEMS, MAX_ITEMS),
)
async def batch_items(request: Request, edge: EdgeDep, principal: Ingester) -> Response:
    """Create or replace items: up to 500 as JSON, or a stream of NDJSON or CSV; each line has its own answer.

    A line has the fields of an item, its `item_id`, and perhaps `media`: `{"text": {"text": "…"}, "image": {"url":
    "https://…"}}`. A stream is answered by a stream of JSON lines, which ends with a summary.
    """
    answer = await _take(request, edge, principal.project, TransferKind.ITEMS, MAX_ITEMS)
    await edge.directory.refresh_if_loaded(principal.project)
    return answer


@router.post(
    "/events:batch",
    response_model=BatchReport,
    responses=_LINES,
    openapi_extra=_documented(TransferKind.EVENTS, MAX_EVENTS),
)
async def batch_events(request: Request, edge: EdgeDep, principal: Ingester) -> Response:
    """Store events: up to 10,000 as JSON, or a stream of NDJSON or CSV; each line has its own answer.

    A stream is answered by a stream of JSON lines, which ends with a summary.
    """
    return await _take(request, edge, principal.project, TransferKind.EVENTS, MAX_EVENTS)


async def _take(request: Request, edge: Edge, project: ProjectId, kind: TransferKind, limit: int) -> Response:
    write: WriteChunk = LineWriter(edge.context.writing, project, kind).write
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    settings = edge.context.settings
    if content_type == "application/json":
        body = await body_within(request, limit_bytes=settings.bulk_json_limit_bytes)
        return await anyio.to_thread.run_sync(_write_batch, write, body, kind, limit)
    if content_type not in STREAMS:
        raise UnsupportedContentType(["application/json", *STREAMS])
    chunker = TextChunker(
        STREAMS[content_type],
        kind,
        size=ChunkSize(CHUNK_LINES, CHUNK_BYTES),
        line_limit_bytes=settings.bulk_line_limit_bytes,
    )
    return LineStream(chunks_of(request, chunker), write)


def _write_batch(write: WriteChunk, body: bytes, kind: TransferKind, limit: int) -> Response:
    try:
        parsed = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidRequest.of("body", f"is not JSON: {error}") from error
    values = parsed.get(kind.value) if isinstance(parsed, dict) else parsed
    if not isinstance(values, list) or not values:
        raise InvalidRequest.of(kind, f"must be a list of at least one, or an object with a list '{kind}'")
    if len(values) > limit:
        raise InvalidRequest.of(kind, f"{len(values):,} {kind}, the limit is {limit:,}", limit=limit)
    results = write([Line(number, value) for number, value in enumerate(values, 1)])
    summary = Summary()
    summary.add(results)
    report = {"summary": summary.model_dump(), "results": [result.as_json() for result in results]}
    return Response(to_json(report), media_type="application/json")
