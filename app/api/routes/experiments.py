"""Experiments: versions and scenarios compared on live traffic."""

from typing import Annotated

from fastapi import APIRouter, Path, Response, status

from app.api.auth import Admin, documented
from app.api.deps import Cursor, EdgeDep, Limit
from app.core.cursor import MAX_NUMBER
from app.experiments.schemas import ExperimentCreate, ExperimentPage, ExperimentRead, ExperimentReport

router = APIRouter(prefix="/admin/experiments", tags=["experiments"], dependencies=documented)

ExperimentId = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


@router.post("", status_code=201, responses={200: {"model": ExperimentRead}})
async def create_experiment(
    new: ExperimentCreate, edge: EdgeDep, principal: Admin, response: Response
) -> ExperimentRead:
    """Make an experiment as a draft; the same request again answers 200 with the experiment that there is."""
    experiment, created = await edge.call(principal.project, lambda services: services.experiments.create(new))
    response.headers["Location"] = f"/admin/experiments/{experiment.id}"
    response.status_code = status.HTTP_201_CREATED if created else status.HTTP_200_OK
    return experiment


@router.get("")
async def list_experiments(edge: EdgeDep, principal: Admin, limit: Limit = 20, cursor: Cursor = None) -> ExperimentPage:
    """Experiments, newest first."""
    return await edge.call(principal.project, lambda services: services.experiments.page(limit=limit, cursor=cursor))


@router.get("/{experiment_id}")
async def get_experiment(experiment_id: ExperimentId, edge: EdgeDep, principal: Admin) -> ExperimentReport:
    """An experiment and what came of it so far, with 95% intervals."""
    return await edge.call(principal.project, lambda services: services.experiments.report(experiment_id))


@router.post("/{experiment_id}/start")
async def start_experiment(experiment_id: ExperimentId, edge: EdgeDep, principal: Admin) -> ExperimentRead:
    """Let a draft run, within seconds in every process; one that runs goes on."""
    experiment = await edge.call(principal.project, lambda services: services.experiments.start(experiment_id))
    await edge.directory.refresh_if_loaded(principal.project)
    return experiment


@router.post("/{experiment_id}/stop")
async def stop_experiment(experiment_id: ExperimentId, edge: EdgeDep, principal: Admin) -> ExperimentRead:
    """End an experiment for good; its results stay."""
    experiment = await edge.call(principal.project, lambda services: services.experiments.stop(experiment_id))
    await edge.directory.refresh_if_loaded(principal.project)
    return experiment


@router.delete("/{experiment_id}", status_code=204)
async def delete_experiment(experiment_id: ExperimentId, edge: EdgeDep, principal: Admin) -> None:
    """Forget an experiment that does not run; the answers made under it stay."""
    await edge.call(principal.project, lambda services: services.experiments.delete(experiment_id))
