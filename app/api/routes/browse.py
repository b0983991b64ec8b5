"""Lists that are the same for everybody."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import TypeAdapter, ValidationError

from app.api.auth import Reader, documented
from app.api.deps import Cursor, EdgeDep
from app.core.errors import InvalidRequest, message_of
from app.core.text import EventType
from app.recommendations.options import MAX_LIMIT, RankingOptions
from app.recommendations.popular import Merit
from app.recommendations.popular_lists import CountedList, ItemList, counted_list, latest_list
from app.scenarios.options import MAX_FILTER_CHARACTERS, MAX_NAMES

router = APIRouter(tags=["browse"], dependencies=documented)

MINUTE_S, DAY_S = 60.0, 86_400.0
LONGEST_WINDOW_S = 366 * DAY_S
_OPTIONS = TypeAdapter(RankingOptions)


def list_options(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="The most items to return.")] = 10,
    categories: Annotated[
        list[str] | None, Query(max_length=MAX_NAMES, description="Only items in at least one of these.")
    ] = None,
    filter: Annotated[
        str | None,
        Query(max_length=MAX_FILTER_CHARACTERS, description="Only items whose attributes satisfy this expression."),
    ] = None,
    exclude: Annotated[
        list[str] | None, Query(max_length=MAX_LIMIT, description="None of the items with these ids.")
    ] = None,
) -> RankingOptions:
    """Which items may be in a list, and how many at once."""
    given = {"limit": limit, "categories": categories, "filter": filter, "exclude": exclude or ()}
    try:
        return _OPTIONS.validate_python(given)
    except ValidationError as error:
        errors = [{"field": str(one["loc"][0]), "message": message_of(one)} for one in error.errors()]
        raise InvalidRequest(f"{errors[0]['field']}: {errors[0]['message']}", errors=errors) from error


ListOptions = Annotated[RankingOptions, Depends(list_options)]
EventTypes = Annotated[list[EventType] | None, Query(max_length=50, description="Only events of these types count.")]


@router.get("/popular")
async def list_popular(
    edge: EdgeDep,
    principal: Reader,
    options: ListOptions,
    window_s: Annotated[
        float, Query(ge=MINUTE_S, le=LONGEST_WINDOW_S, description="Events of the last so many seconds count.")
    ] = 7 * DAY_S,
    type: EventTypes = None,
    cursor: Cursor = None,
) -> CountedList:
    """Items by the number of their events in the window, most first."""
    state = await edge.directory.get(principal.project)
    return await counted_list(
        state, edge.popularity, options, merit=Merit.POPULAR, window_s=window_s, types=type or (), cursor=cursor
    )


@router.get("/trending")
async def list_trending(
    edge: EdgeDep,
    principal: Reader,
    options: ListOptions,
    window_s: Annotated[
        float, Query(ge=MINUTE_S, le=LONGEST_WINDOW_S, description="After so many seconds an event counts half.")
    ] = DAY_S,
    type: EventTypes = None,
    cursor: Cursor = None,
) -> CountedList:
    """Items by their events, each worth half as much for every window that it is older."""
    state = await edge.directory.get(principal.project)
    return await counted_list(
        state, edge.popularity, options, merit=Merit.TRENDING, window_s=window_s, types=type or (), cursor=cursor
    )


@router.get("/latest")
async def list_latest(edge: EdgeDep, principal: Reader, options: ListOptions, cursor: Cursor = None) -> ItemList:
    """Items by the date of their publication or, without one, of their arrival, newest first."""
    state = await edge.directory.get(principal.project)
    return latest_list(state, options, cursor=cursor)
