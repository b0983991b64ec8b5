"""Metrics for Prometheus."""

from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.api.auth import requires
from app.core.types import Scope
from app.telemetry.metrics import instruments

router = APIRouter(tags=["health"])

_admin = requires(Scope.ADMIN)


async def _reader(request: Request) -> None:
    """Anybody who reaches the service, unless the settings say otherwise."""
    if not request.app.state.edge.context.settings.metrics_public:
        await _admin(request)


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
async def scrape_metrics(request: Request, _: Annotated[None, Depends(_reader)]) -> Response:
    """Metrics of the API at this address and of the service, in the text format of Prometheus."""

    def render() -> bytes:
        return generate_latest(instruments()) + generate_latest(request.app.state.service_metrics)

    return Response(await anyio.to_thread.run_sync(render), media_type=CONTENT_TYPE_LATEST)
