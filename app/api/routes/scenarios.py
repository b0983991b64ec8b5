"""Scenarios: named bundles of ranking options."""

from typing import Annotated

from fastapi import APIRouter, Path, Response, status

from app.api.auth import Admin, documented
from app.api.deps import Cursor, EdgeDep, Limit
from app.core.text import Identifier
from app.scenarios.schemas import ScenarioList, ScenarioView, ScenarioWrite

router = APIRouter(prefix="/admin/scenarios", tags=["scenarios"], dependencies=documented)

ScenarioName = Annotated[Identifier, Path(max_length=100, description="The scenario's name, as requests give it.")]


@router.put("/{name}", responses={201: {"model": ScenarioView}})
async def put_scenario(
    name: ScenarioName, write: ScenarioWrite, edge: EdgeDep, principal: Admin, response: Response
) -> ScenarioView:
    """Create or replace a scenario; every process takes it up within seconds."""
    scenario, is_new = await edge.call(principal.project, lambda services: services.scenarios.put(name, write))
    response.status_code = status.HTTP_201_CREATED if is_new else status.HTTP_200_OK
    await edge.directory.refresh_if_loaded(principal.project)
    return scenario


@router.get("/{name}")
async def get_scenario(name: ScenarioName, edge: EdgeDep, principal: Admin) -> ScenarioView:
    """One scenario."""
    return await edge.call(principal.project, lambda services: services.scenarios.get(name))


@router.get("")
async def list_scenarios(edge: EdgeDep, principal: Admin, limit: Limit = 100, cursor: Cursor = None) -> ScenarioList:
    """Scenarios, by name."""
    return await edge.call(principal.project, lambda services: services.scenarios.page(limit=limit, cursor=cursor))


@router.delete("/{name}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_scenario(name: ScenarioName, edge: EdgeDep, principal: Admin) -> None:
    """Remove a scenario; requests that name it are refused from then on, experiments do without it."""
    await edge.call(principal.project, lambda services: services.scenarios.delete(name))
    await edge.directory.refresh_if_loaded(principal.project)
