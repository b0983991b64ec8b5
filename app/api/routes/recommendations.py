"""What would this user want next?"""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from app.api.auth import Reader, documented
from app.api.deps import EdgeDep, UserIdPath
from app.recommendations import service
from app.recommendations.schemas import MAX_LIMIT, Recommendation

router = APIRouter(tags=["recommendations"], dependencies=documented)

ResultLimit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The most items to return.")]
ExcludeSeen = Annotated[bool, Query(description="Leave out what the user has had to do with.")]


@router.get("/recommend/{user_id}", response_model=Recommendation)
async def recommend(
    user_id: UserIdPath, edge: EdgeDep, principal: Reader, limit: ResultLimit = 10, exclude_seen: ExcludeSeen = True
) -> Response:
    """The items this user would want next, best first; trending or latest ones for a user nothing is known of."""
    state = await edge.directory.get(principal.project)
    query = service.Query(user_id=user_id, limit=limit, exclude_seen=exclude_seen)
    # Written without validation: the service builds exactly the documented shape (checked by a test).
    return Response(orjson.dumps(await edge.recommender.recommend(state, query)), media_type="application/json")
