"""Schedules: trainings by the clock or on conditions."""

from typing import Annotated

from fastapi import APIRouter, Path, Response, status

from app.api.auth import Admin, documented
from app.api.deps import EdgeDep
from app.core.text import Identifier
from app.lifecycle.schemas import ScheduleList, ScheduleRead, ScheduleWrite

router = APIRouter(prefix="/admin/schedules", tags=["schedules"], dependencies=documented)

ScheduleName = Annotated[Identifier, Path(description="The schedule's name, as the client chose it.")]


@router.get("")
async def list_schedules(edge: EdgeDep, principal: Admin) -> ScheduleList:
    """Schedules by name, each with its next run and what came of the last one."""
    schedules = await edge.call(principal.project, lambda services: services.schedules.list_schedules())
    return ScheduleList(schedules=schedules)


@router.put("/{name}", responses={201: {"model": ScheduleRead}})
async def put_schedule(
    name: ScheduleName, order: ScheduleWrite, edge: EdgeDep, principal: Admin, response: Response
) -> ScheduleRead:
    """Make a schedule or replace it."""
    schedule, created = await edge.call(principal.project, lambda services: services.schedules.put(name, order))
    response.status_code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return schedule


@router.get("/{name}")
async def get_schedule(name: ScheduleName, edge: EdgeDep, principal: Admin) -> ScheduleRead:
    """A schedule with its next run and what came of the last one."""
    return await edge.call(principal.project, lambda services: services.schedules.get(name))


@router.delete("/{name}", status_code=204)
async def delete_schedule(name: ScheduleName, edge: EdgeDep, principal: Admin) -> None:
    """Remove a schedule; a training that it has ordered goes on."""
    await edge.call(principal.project, lambda services: services.schedules.delete(name))
