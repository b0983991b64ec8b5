"""Whether the process lives, and whether it can do its work."""

import asyncio

import anyio.to_thread
from fastapi import APIRouter, Request
from sqlalchemy import text

from app.api.deps import EdgeDep
from app.core.http_errors import NotReady

router = APIRouter(prefix="/health", tags=["health"])

WARM_WAIT_S = 0.5


@router.get("/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/ready")
async def ready(request: Request, edge: EdgeDep) -> dict[str, str]:
    """Database and cache answer too, and what serves is loaded and warm; 503 otherwise, and while the process ends."""
    if getattr(request.app.state, "draining", False):
        raise NotReady("The process is about to end.")

    def check() -> None:
        with edge.context.database.transaction() as transaction:
            transaction.session.execute(text("SELECT 1"))
        edge.context.redis.ping()

    await anyio.to_thread.run_sync(check)
    try:
        await asyncio.wait_for(request.app.state.warm_up.finished.wait(), WARM_WAIT_S)
    except TimeoutError as error:
        raise NotReady("Models are being loaded.") from error
    return {"status": "ready"}
