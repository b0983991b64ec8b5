"""Items and their media come in, are looked at, and go."""

from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import StreamingResponse

from app.api.auth import Ingester, documented
from app.api.deps import Cursor, EdgeDep, ItemIdPath, Limit
from app.api.etag import ChangeCondition, IfNoneMatchTag, WriteCondition, is_unchanged, tagged
from app.api.file_answers import pieces_of
from app.api.uploads import item_with_media, one_medium
from app.core.errors import MediaNotFound
from app.core.types import ItemState
from app.items.schemas import ItemCreate, ItemFields, ItemPage, ItemPatch, ItemRead

router = APIRouter(prefix="/items", tags=["items"], dependencies=documented)

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_MEDIUM = {
    "required": True,
    "content": {
        "application/octet-stream": _BINARY,
        "application/json": {
            "schema": {
                "oneOf": [
                    {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
                    {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]},
                ]
            }
        },
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": _BINARY["schema"]}, "required": ["file"]}
        },
    },
}
_ITEM = ItemCreate.model_json_schema(ref_template="#/components/schemas/{model}")
_ITEM.pop("$defs", None)  # they are among the components: ItemFields has the same
_ITEM["examples"] = [{"item_id": "i1", **one} for one in _ITEM["examples"]]
_ITEM_WITH_MEDIA = {
    "required": True,
    "content": {
        "application/json": {"schema": _ITEM},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["item"],
                "properties": {
                    "item": {"type": "string", "description": "The item's fields and its `item_id`, as JSON."}
                },
                "additionalProperties": _BINARY["schema"],
            }
        },
    },
}


@router.put("/{item_id}", responses={201: {"model": ItemRead}})
async def put_item(
    item_id: ItemIdPath,
    fields: ItemFields,
    condition: WriteCondition,
    edge: EdgeDep,
    principal: Ingester,
    response: Response,
) -> ItemRead:
    """Create an item or replace what is said of it; its media stay."""
    item, created = await edge.call(
        principal.project, lambda services: services.items.put(item_id, fields, condition=condition)
    )
    await edge.directory.refresh_if_loaded(principal.project)
    response.status_code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return tagged(response, item)


@router.post("", responses={201: {"model": ItemRead}}, openapi_extra={"requestBody": _ITEM_WITH_MEDIA})
async def post_item(request: Request, edge: EdgeDep, principal: Ingester, response: Response) -> ItemRead:
    """Create or replace an item together with its media, in one request: all of it is taken or nothing.

    Without media it may be sent as JSON.
    """
    intake = edge.context.intake
    async with item_with_media(request, intake) as (new, files):

        def accept() -> Any:
            infos = {modality: intake.check(modality, file) for modality, file in files.items()}
            return {modality: intake.keep(principal.project, files[modality], info) for modality, info in infos.items()}

        media = await anyio.to_thread.run_sync(accept)
    fields = ItemFields(**new.model_dump(exclude={"item_id"}))
    item, created = await edge.call(principal.project, lambda services: services.items.put(new.item_id, fields, media))
    await edge.directory.refresh_if_loaded(principal.project)
    response.status_code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return tagged(response, item)


@router.post("/{item_id}/media/{modality}", status_code=202, openapi_extra={"requestBody": _MEDIUM})
async def post_media(
    item_id: ItemIdPath, modality: str, request: Request, edge: EdgeDep, principal: Ingester
) -> ItemRead:
    """Attach one medium: raw bytes, a multipart part `file`, or JSON with a `text`, or with a `url` to fetch it from.

    Fetching and encoding follow by themselves.
    """
    intake = edge.context.intake
    intake.check_modality(modality)
    await edge.call(principal.project, lambda services: services.items.get(item_id))
    async with one_medium(request, modality, intake) as file:
        if isinstance(file, str):
            url = file
            return await edge.call(principal.project, lambda services: services.items.fetch(item_id, modality, url))
        stored = await anyio.to_thread.run_sync(intake.accept, principal.project, modality, file)
    return await edge.call(principal.project, lambda services: services.items.attach(item_id, modality, stored))


@router.get("/{item_id}/media/{modality}", response_class=StreamingResponse)
async def get_media(item_id: ItemIdPath, modality: str, edge: EdgeDep, principal: Ingester) -> StreamingResponse:
    """The bytes of one medium, as they were uploaded."""
    item = await edge.call(principal.project, lambda services: services.items.get(item_id))
    medium = item.media.get(modality)
    if medium is None or medium.sha256 is None:
        raise MediaNotFound(item_id, modality)
    try:
        file = await anyio.to_thread.run_sync(edge.context.blobs.open, principal.project, medium.sha256)
    except FileNotFoundError as error:
        raise MediaNotFound(item_id, modality) from error
    headers = {
        "ETag": f'"{medium.sha256}"',
        "Content-Length": str(medium.size_bytes),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    return StreamingResponse(pieces_of(file), media_type=medium.content_type, headers=headers)


@router.get("/{item_id}", response_model=ItemRead, responses={304: {"description": "It is as you have it."}})
async def get_item(
    item_id: ItemIdPath, edge: EdgeDep, principal: Ingester, response: Response, if_none_match: IfNoneMatchTag = None
) -> ItemRead | Response:
    """One item with its media and its state."""
    item = tagged(response, await edge.call(principal.project, lambda services: services.items.get(item_id)))
    if is_unchanged(if_none_match, response.headers["ETag"]):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers={"ETag": response.headers["ETag"]})
    return item


@router.get("")
async def list_items(
    edge: EdgeDep,
    principal: Ingester,
    limit: Limit = 100,
    cursor: Cursor = None,
    state: Annotated[ItemState | None, Query(description="Only items in this state.")] = None,
) -> ItemPage:
    """Items in the order of their arrival."""
    return await edge.call(
        principal.project, lambda services: services.items.page(limit=limit, cursor=cursor, state=state)
    )


@router.patch("/{item_id}")
async def patch_item(
    item_id: ItemIdPath,
    patch: ItemPatch,
    condition: ChangeCondition,
    edge: EdgeDep,
    principal: Ingester,
    response: Response,
) -> ItemRead:
    """Change some fields."""
    item = await edge.call(
        principal.project, lambda services: services.items.patch(item_id, patch, condition=condition)
    )
    await edge.directory.refresh_if_loaded(principal.project)
    return tagged(response, item)


@router.delete("/{item_id}", status_code=204)
async def delete_item(item_id: ItemIdPath, condition: ChangeCondition, edge: EdgeDep, principal: Ingester) -> None:
    """Remove an item from every answer."""
    await edge.call(principal.project, lambda services: services.items.delete(item_id, condition=condition))
    await edge.directory.refresh_if_loaded(principal.project)
