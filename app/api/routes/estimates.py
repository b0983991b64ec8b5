"""Estimates: what a version would have earned on recorded answers."""

from uuid import UUID

from fastapi import APIRouter, Response

from app.api.auth import Admin, documented
from app.api.deps import EdgeDep
from app.off_policy.schemas import EstimateCreate, EstimateRead

router = APIRouter(prefix="/admin", tags=["experiments"], dependencies=documented)


@router.post("/models/{version}/estimate", status_code=202)
async def create_estimate(
    version: str, order: EstimateCreate, response: Response, edge: EdgeDep, principal: Admin
) -> EstimateRead:
    """Order an off-policy estimate of a version, to be read when the job is over."""
    estimate = await edge.call(principal.project, lambda services: services.estimates.create(version, order))
    response.headers["Location"] = f"/admin/estimates/{estimate.id}"
    return estimate


@router.get("/estimates/{estimate_id}")
async def get_estimate(estimate_id: UUID, edge: EdgeDep, principal: Admin) -> EstimateRead:
    """State and result of an estimate."""
    return await edge.call(principal.project, lambda services: services.estimates.get(estimate_id))
