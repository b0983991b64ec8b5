"""Trainings are ordered, watched and cancelled."""

import asyncio
from uuid import UUID

from fastapi import APIRouter, Request, Response, status

from app.api.auth import Admin, documented
from app.api.deps import Cursor, EdgeDep, Limit
from app.core.types import ProjectId
from app.training.schemas import TrainingCreate, TrainingPage, TrainingRead

router = APIRouter(prefix="/admin/trainings", tags=["trainings"], dependencies=documented)

WAIT_POLL_S = 0.5


@router.post("", status_code=202, responses={200: {"model": TrainingRead}})
async def create_training(
    order: TrainingCreate, request: Request, response: Response, edge: EdgeDep, principal: Admin
) -> TrainingRead:
    """Order a training; 202 with the job, or with `wait` 200 once it is over."""
    training = await edge.call(principal.project, lambda services: services.trainings.create(order))
    response.headers["Location"] = f"/admin/trainings/{training.id}"
    while order.wait and not training.state.finished and not await request.is_disconnected():
        await asyncio.sleep(WAIT_POLL_S)
        training = await _training(edge, principal.project, training.id)
    if training.state.finished:
        response.status_code = status.HTTP_200_OK
    return training


async def _training(edge: EdgeDep, project: ProjectId, training_id: UUID) -> TrainingRead:
    return await edge.call(project, lambda services: services.trainings.get(training_id))


@router.get("")
async def list_trainings(edge: EdgeDep, principal: Admin, limit: Limit = 20, cursor: Cursor = None) -> TrainingPage:
    """Trainings, newest first."""
    return await edge.call(principal.project, lambda services: services.trainings.page(limit=limit, cursor=cursor))


@router.get("/{training_id}")
async def get_training(training_id: UUID, edge: EdgeDep, principal: Admin) -> TrainingRead:
    """State, progress, data cut, result or error of a training."""
    return await _training(edge, principal.project, training_id)


@router.delete("/{training_id}", status_code=202)
async def cancel_training(training_id: UUID, edge: EdgeDep, principal: Admin) -> TrainingRead:
    """Cancel a training; one that runs stops within seconds."""
    return await edge.call(principal.project, lambda services: services.trainings.cancel(training_id))
