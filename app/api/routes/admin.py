"""Trainings, versions, keys and counts."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response, status

from app.api.auth import Admin, documented
from app.api.deps import Cursor, EdgeDep, Limit
from app.core.cursor import MAX_NUMBER
from app.core.types import ProjectId
from app.models.schemas import ModelList, ModelRead
from app.projects.schemas import KeyCreate, KeyCreated, KeyList
from app.status.schemas import Status
from app.training.schemas import TrainingCreate, TrainingPage, TrainingRead

router = APIRouter(prefix="/admin", tags=["admin"], dependencies=documented)

WAIT_POLL_S = 0.5
KeyId = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


@router.post("/trainings", status_code=202, responses={200: {"model": TrainingRead}})
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


@router.get("/trainings")
async def list_trainings(edge: EdgeDep, principal: Admin, limit: Limit = 20, cursor: Cursor = None) -> TrainingPage:
    """Trainings, newest first."""
    return await edge.call(principal.project, lambda services: services.trainings.page(limit=limit, cursor=cursor))


@router.get("/trainings/{training_id}")
async def get_training(training_id: UUID, edge: EdgeDep, principal: Admin) -> TrainingRead:
    """State, progress, data cut, result or error of a training."""
    return await _training(edge, principal.project, training_id)


@router.delete("/trainings/{training_id}", status_code=202)
async def cancel_training(training_id: UUID, edge: EdgeDep, principal: Admin) -> TrainingRead:
    """Cancel a training; one that runs stops within seconds."""
    return await edge.call(principal.project, lambda services: services.trainings.cancel(training_id))


@router.get("/models")
async def list_models(edge: EdgeDep, principal: Admin) -> ModelList:
    """Versions, newest first."""
    models = await edge.call(principal.project, lambda services: services.models.list_models())
    return ModelList(models=models)


@router.post("/models/{version}/promote")
async def promote_model(version: str, edge: EdgeDep, principal: Admin) -> ModelRead:
    """Let a version serve; an older one is a rollback."""
    model = await edge.call(principal.project, lambda services: services.models.promote(version))
    await edge.directory.refresh_if_loaded(principal.project)
    return model


@router.post("/keys", status_code=201)
async def create_key(new: KeyCreate, edge: EdgeDep, principal: Admin) -> KeyCreated:
    """A new key of this project; its secret is shown this once."""
    project = principal.project
    return await edge.call(
        project, lambda services: services.keys.create_key(project, name=new.name, scopes=new.scopes)
    )


@router.get("/keys")
async def list_keys(edge: EdgeDep, principal: Admin) -> KeyList:
    """Keys, without their secrets."""
    project = principal.project
    return KeyList(keys=await edge.call(project, lambda services: services.keys.list_keys(project)))


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(key_id: KeyId, edge: EdgeDep, principal: Admin) -> None:
    """Revoke a key; within seconds every process refuses it."""
    project = principal.project
    await edge.call(project, lambda services: services.keys.revoke_key(project, key_id))


@router.get("/status")
async def read_status(edge: EdgeDep, principal: Admin) -> Status:
    """What there is and what is going on."""
    return await edge.call(principal.project, lambda services: services.status.read())
