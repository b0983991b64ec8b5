"""What is like an item, or like an upload?"""

from typing import Annotated, Any, BinaryIO

import anyio.to_thread
import orjson
from fastapi import APIRouter, Query, Request, Response

from app.api.auth import Reader, documented
from app.api.deps import EdgeDep, ItemIdPath
from app.api.routes.browse import ListOptions
from app.api.uploads import one_medium
from app.core.errors import InvalidRequest
from app.core.text import Identifier
from app.recommendations.similar_service import SimilarItems, live_of

router = APIRouter(tags=["similar"], dependencies=documented)

_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD = {
    "required": True,
    "content": {
        "application/octet-stream": _BINARY,
        "application/json": {
            "schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
            "example": {"text": "a slow film about fishing boats"},
        },
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"file": _BINARY["schema"]}, "required": ["file"]}
        },
    },
}
PERSONAL = 0.5
"""Share of what the user would want, where there is a user and the request says nothing."""
ModalityName = Annotated[str, Query(min_length=1, max_length=100, description="What is uploaded: `text`, `image`, …")]
By = Annotated[str | None, Query(min_length=1, max_length=100, description="Compare by this modality alone.")]


@router.get("/similar/{item_id}", response_model=SimilarItems)
async def get_similar(
    item_id: ItemIdPath, edge: EdgeDep, principal: Reader, options: ListOptions, by: By = None
) -> Response:
    """The items that are most like an item, by the cosine of their vectors under the live version."""
    state = await edge.directory.get(principal.project)
    answer = await edge.similar.to_item(state, item_id, options, by=by)
    # Written without validation: the service builds exactly the documented shape (checked by a test).
    return Response(orjson.dumps(answer), media_type="application/json")


@router.post("/similar", response_model=SimilarItems, openapi_extra={"requestBody": _UPLOAD})
async def post_similar(
    request: Request,
    edge: EdgeDep,
    principal: Reader,
    options: ListOptions,
    modality: ModalityName = "text",
    user_id: Annotated[Identifier | None, Query(description="For whom; leaves out what they have seen.")] = None,
    personal: Annotated[
        float | None, Query(ge=0, le=1, description="Share of what the user would want; 0.5 with a user, else 0.")
    ] = None,
) -> Response:
    """What looks, sounds or reads like an upload: raw bytes, a multipart part `file`, or a text as JSON.

    The upload is encoded by a worker and kept nowhere. Its vector, that of an item which has this medium alone, is
    compared with the whole vectors of the items: all of their media count.
    """
    intake = edge.context.intake
    intake.check_modality(modality)
    state = await edge.directory.get(principal.project)
    version = live_of(state)
    async with one_medium(request, modality, intake) as medium:
        file = _sent(medium)
        await anyio.to_thread.run_sync(intake.check, modality, file)
        vector = await edge.uploads.vector(principal.project, version, modality, file)
    weight = PERSONAL if personal is None else personal
    answer = await edge.similar.to_upload(
        state, version, vector, options, by=modality, user_id=user_id, personal=weight
    )
    return Response(orjson.dumps(answer), media_type="application/json")


def _sent(medium: BinaryIO | str) -> BinaryIO:
    if isinstance(medium, str):
        raise InvalidRequest.of("url", "nothing is fetched to be compared by; send the bytes")
    return medium
