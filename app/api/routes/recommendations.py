"""What would this user want next?"""

import asyncio
import json
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError

from app.api.auth import Reader, documented
from app.api.deps import Edge, EdgeDep, UserIdPath
from app.api.errors import Problems, invalid_request
from app.api.recommend_requests import body, parameters, request_of_json, requests_of_body, rounds, wish_of_query
from app.core.errors import CrossanError
from app.recommendations.schemas import MAX_LIMIT, BatchAnswer, Recommendation
from app.recommendations.state import ProjectState

router = APIRouter(tags=["recommendations"], dependencies=documented)

AnswerId = Annotated[UUID, Path(description="`recommendation_id` of the page before.")]
PageLimit = Annotated[
    int | None, Query(ge=1, le=MAX_LIMIT, description="The most items of this page; as before if it is left out.")
]


# Answers are written without validation: the service builds exactly the documented shape (checked by a test).


@router.get("/recommend/{user_id}", response_model=Recommendation, openapi_extra={"parameters": parameters()})
async def recommend(user_id: UserIdPath, request: Request, edge: EdgeDep, principal: Reader) -> Response:
    """The items this user would want next, best first; trending or latest ones for a user nothing is known of.

    Lists are given by repeating a parameter, and maps as `name:number`.
    """
    wish = wish_of_query(request.scope["query_string"])
    state = await edge.directory.get(principal.project)
    return _json(await edge.recommender.recommend_to(state, user_id, wish))


@router.post("/recommend", response_model=Recommendation | BatchAnswer, openapi_extra={"requestBody": body()})
async def recommend_many(request: Request, edge: EdgeDep, principal: Reader) -> Response:
    """One request, a list, or `{"requests": […]}` of up to 256, for users or for sessions without one.

    One request gets its answer; several get `{"results": […]}`, in order, each with its own answer or problem.
    """
    asked, is_batch = requests_of_body(await request.body())
    state = await edge.directory.get(principal.project)
    if not is_batch:
        return _json(await edge.recommender.recommend(state, request_of_json(asked[0])))
    results: list[dict[str, Any]] = []
    for together in rounds(asked):
        results += await asyncio.gather(*[_result(edge, state, raw, request) for raw in together])
        # Other clients get their turn.
        await asyncio.sleep(0)
    return _json({"results": results})


@router.get("/recommend/next/{recommendation_id}", response_model=Recommendation)
async def next_page(recommendation_id: AnswerId, edge: EdgeDep, principal: Reader, limit: PageLimit = None) -> Response:
    """The next page of a list: by the same options, without what the list has shown so far, from any process."""
    state = await edge.directory.get(principal.project)
    return _json(await edge.recommender.next_page(state, recommendation_id, limit=limit))


async def _result(edge: Edge, state: ProjectState, raw: Any, request: Request) -> dict[str, Any]:
    """The answer to one request of a batch: trouble with it is its own."""
    problems: Problems = request.app.state.problems
    try:
        answer = await edge.recommender.recommend(state, request_of_json(raw))
        return {"status": 200, "recommendation": answer, "problem": None}
    except RequestValidationError as error:
        problem = problems.render(invalid_request(error))
    except CrossanError as error:
        problem = problems.render(error)
    return {"status": problem.status_code, "recommendation": None, "problem": json.loads(bytes(problem.body))}


def _json(answer: Any) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")
