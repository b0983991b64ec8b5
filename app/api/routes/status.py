"""What there is and what is going on."""

from fastapi import APIRouter

from app.api.auth import Admin, documented
from app.api.deps import EdgeDep
from app.status.schemas import Status

router = APIRouter(prefix="/admin", tags=["status"], dependencies=documented)


@router.get("/status")
async def read_status(edge: EdgeDep, principal: Admin) -> Status:
    """What there is and what is going on."""
    return await edge.call(principal.project, lambda services: services.status.read())
