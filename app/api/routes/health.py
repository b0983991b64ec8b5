"""Whether the process lives, and whether it can do its work."""

import anyio.to_thread
from fastapi import APIRouter
from sqlalchemy import text

from app.api.deps import EdgeDep

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/ready")
async def ready(edge: EdgeDep) -> dict[str, str]:
    """Database and cache answer too; 503 otherwise."""

    def check() -> None:
        with edge.context.database.transaction() as transaction:
            transaction.session.execute(text("SELECT 1"))
        edge.context.redis.ping()

    await anyio.to_thread.run_sync(check)
    return {"status": "ready"}
