"""Jobs of any kind, and what they do while they do it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response, status

from app.api.auth import Admin, documented
from app.api.deps import Cursor, EdgeDep, Limit
from app.api.streams import EVENT_STREAM, LAST, EventStream, job_events
from app.core.jobs import JobKind
from app.core.types import JobState, ProjectId
from app.jobs.schemas import JobPage, JobRead

router = APIRouter(prefix="/admin/jobs", tags=["jobs"], dependencies=documented)

_EVENT = {
    "type": "object",
    "description": "One event of the stream.",
    "required": ["data"],
    "properties": {
        "event": {"type": "string", "examples": ["progress"]},
        "id": {"type": "string"},
        "data": {"type": "string", "description": "The job as JSON."},
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `state` and `progress`; the data of each is the job as JSON.",
        "content": {EVENT_STREAM: {"schema": _EVENT}},
    },
    204: {"description": "The job has ended, and this client has seen its last event."},
}


@router.get("")
async def list_jobs(
    edge: EdgeDep,
    principal: Admin,
    limit: Limit = 20,
    cursor: Cursor = None,
    kind: Annotated[JobKind | None, Query(description="Only jobs of this kind.")] = None,
    state: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
) -> JobPage:
    """Jobs, newest first."""
    return await edge.call(
        principal.project,
        lambda services: services.job_reader.page(limit=limit, cursor=cursor, kind=kind, state=state),
    )


@router.get("/{job_id}")
async def get_job(job_id: UUID, edge: EdgeDep, principal: Admin) -> JobRead:
    """State, progress, result or error of a job."""
    return await _job(edge, principal.project, job_id)


async def _job(edge: EdgeDep, project: ProjectId, job_id: UUID) -> JobRead:
    return await edge.call(project, lambda services: services.job_reader.get(job_id))


@router.get("/{job_id}/events", status_code=200, response_class=EventStream, responses=_STREAM)
async def stream_job(
    job_id: UUID,
    edge: EdgeDep,
    principal: Admin,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="Sent by a client that comes again.")
    ] = None,
) -> Response:
    """Server-sent events: the job as it is, then whenever its state or its progress changes, until it has ended."""
    job = await _job(edge, principal.project, job_id)
    if job.state.finished and last_event_id == LAST:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    events = job_events(lambda: _job(edge, principal.project, job_id), longest_s=edge.context.settings.job_stream_s)
    return EventStream(events, edge.streams)
