"""Users: what is said and known of them, and how they are erased."""

import asyncio
import tempfile
from typing import Annotated, BinaryIO, cast

from fastapi import APIRouter, Path, Query, Response, status
from fastapi.responses import StreamingResponse

from app.api.auth import Admin, Ingester, documented
from app.api.deps import Cursor, EdgeDep, Limit, UserIdPath
from app.api.file_answers import pieces_of
from app.core.cursor import MAX_NUMBER
from app.core.text import Identifier
from app.users.schemas import (
    ErasurePage,
    ErasureRead,
    History,
    Merge,
    Merged,
    UserFields,
    UserPage,
    UserPatch,
    UserRead,
)

router = APIRouter(tags=["users"], dependencies=documented)

SPOOL_BYTES = 1 << 20
LATE_ANSWERS = 2
"""After so many flush intervals every answer that was given before an erasure has been written down."""
ErasureId = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="The report's number.")]
EventTypes = Annotated[list[str] | None, Query(max_length=50, description="Only events of these types.")]


@router.put("/users/{user_id}", responses={201: {"model": UserRead}})
async def put_user(
    user_id: UserIdPath, fields: UserFields, edge: EdgeDep, principal: Ingester, response: Response
) -> UserRead:
    """Create a user or replace their attributes."""
    user, created = await edge.call(principal.project, lambda services: services.users.put(user_id, fields.attributes))
    response.status_code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return user


@router.patch("/users/{user_id}")
async def patch_user(user_id: UserIdPath, patch: UserPatch, edge: EdgeDep, principal: Ingester) -> UserRead:
    """Set some attributes; null removes one."""
    return await edge.call(principal.project, lambda services: services.users.patch(user_id, patch))


@router.get("/users/{user_id}")
async def get_user(user_id: UserIdPath, edge: EdgeDep, principal: Ingester) -> UserRead:
    """One user; whoever has only events has no attributes."""
    return await edge.call(principal.project, lambda services: services.users.get(user_id))


@router.get("/users")
async def list_users(edge: EdgeDep, principal: Ingester, limit: Limit = 100, cursor: Cursor = None) -> UserPage:
    """Everybody of whom anything is known, in the order of ids."""
    return await edge.call(principal.project, lambda services: services.users.page(limit=limit, cursor=cursor))


@router.get("/users/{user_id}/history")
async def get_history(
    user_id: UserIdPath,
    edge: EdgeDep,
    principal: Ingester,
    limit: Limit = 100,
    cursor: Cursor = None,
    type: EventTypes = None,
) -> History:
    """What the user did, newest first."""
    return await edge.call(
        principal.project,
        lambda services: services.users.history(user_id, types=type or [], limit=limit, cursor=cursor),
    )


@router.get("/users/{user_id}/export", response_class=StreamingResponse)
async def export_user(user_id: UserIdPath, edge: EdgeDep, principal: Ingester) -> StreamingResponse:
    """Everything that is held of the person, as one JSON document: attributes, events, recorded answers."""
    await edge.answers.flush()
    file = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))  # noqa: SIM115 - closed once it is sent
    try:
        await edge.call(principal.project, lambda services: services.users.export(user_id, file))
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return StreamingResponse(pieces_of(file), media_type="application/json")


@router.post("/users/{user_id}/merge")
async def merge_user(user_id: UserIdPath, merge: Merge, edge: EdgeDep, principal: Ingester) -> Merged:
    """Make what an anonymous id did the user's own. Events of that id that arrive later stay its own: merge again."""
    return await edge.call(principal.project, lambda services: services.users.merge(user_id, merge.source))


@router.delete("/users/{user_id}")
async def erase_user(user_id: UserIdPath, edge: EdgeDep, principal: Ingester) -> ErasureRead:
    """Erase the person everywhere; the report says what went where, and which versions had learned from it."""
    await edge.answers.flush()
    report = await edge.call(principal.project, lambda services: services.erasures.erase(user_id))
    await asyncio.sleep(LATE_ANSWERS * edge.context.settings.answer_flush_s)
    edge.history.forget(principal.project, user_id)
    await edge.answers.forget(principal.project, user_id)
    return await edge.call(
        principal.project,
        lambda services: services.erasures.erase_late_answers(report.id, user_id, until=report.erased_at),
    )


@router.get("/admin/erasures")
async def list_erasures(edge: EdgeDep, principal: Admin, limit: Limit = 20, cursor: Cursor = None) -> ErasurePage:
    """Reports of erasures, newest first."""
    return await edge.call(principal.project, lambda services: services.erasures.page(limit=limit, cursor=cursor))


@router.get("/admin/erasures/{erasure_id}")
async def get_erasure(
    erasure_id: ErasureId,
    edge: EdgeDep,
    principal: Admin,
    user_id: Annotated[Identifier | None, Query(description="Ask whether the report is of this person.")] = None,
) -> ErasureRead:
    """One report; only who knows the person's id can tell whose it is."""
    return await edge.call(principal.project, lambda services: services.erasures.get(erasure_id, user_id=user_id))
