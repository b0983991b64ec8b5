"""Why did they see this? Recorded answers, and the same lists computed again."""

from uuid import UUID

from fastapi import APIRouter

from app.api.auth import Admin, documented
from app.api.deps import EdgeDep
from app.replay.schemas import AnswerRead, ReplayRead

router = APIRouter(prefix="/admin/answers", tags=["impressions"], dependencies=documented)


@router.get("/{recommendation_id}")
async def read_answer(recommendation_id: UUID, edge: EdgeDep, principal: Admin) -> AnswerRead:
    """What is recorded of an answer."""
    await edge.answers.settle(principal.project, recommendation_id)
    return await edge.call(principal.project, lambda services: services.replays.read(recommendation_id))


@router.get("/{recommendation_id}/replay")
async def replay_answer(recommendation_id: UUID, edge: EdgeDep, principal: Admin) -> ReplayRead:
    """The answer computed again from what it was made from, compared with what was shown, and explained."""
    await edge.answers.settle(principal.project, recommendation_id)
    return await edge.call(principal.project, lambda services: services.replays.replay(recommendation_id))
