"""What was seen of answers, and what people did with them."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.auth import Admin, Ingester, documented
from app.api.deps import EdgeDep
from app.impressions.schemas import ImpressionRead, ImpressionWrite, MetricsQuery, MetricsRead

router = APIRouter(tags=["impressions"], dependencies=documented)


@router.post("/impressions")
async def post_impression(impression: ImpressionWrite, edge: EdgeDep, principal: Ingester) -> ImpressionRead:
    """Say which items of an answer were seen. Without any report all of them count; reports add up."""
    await edge.answers.settle(principal.project, impression.recommendation_id)
    return await edge.call(principal.project, lambda services: services.impressions.report(impression))


@router.get("/admin/metrics")
async def read_metrics(query: Annotated[MetricsQuery, Query()], edge: EdgeDep, principal: Admin) -> MetricsRead:
    """Click-through, conversion, coverage and positions of the answers of a time, all together or by group."""
    return await edge.call(principal.project, lambda services: services.impressions.metrics(query))
