"""Query parameters that a route does not know are refused by name, so that a misspelt one is not ignored in silence."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams

from app.core.errors import InvalidRequest

ELSEWHERE = (Path, Header, Cookie)
"""What a parameter is that does not stand in the query; one of a parameter model is of no kind of its own."""


NUL = "\0"


def check_query(request: Request) -> None:
    """Raise InvalidRequest for parameters that the request's route does not have, and for what no text may hold."""
    query: bytes = request.scope["query_string"]
    if query:
        _check(query_names(request.scope["route"]), query)


@lru_cache(maxsize=1_024)
def _check(known: frozenset[str], query: bytes) -> None:
    """Queries that are right are remembered."""
    parameters = QueryParams(query)
    for name, value in parameters.multi_items():
        if NUL in value:
            raise InvalidRequest.of(name, "must not contain the character NUL")
    unknown = [name for name in parameters if name not in known]
    if unknown:
        allowed = f"known are: {', '.join(sorted(known))}" if known else "this route has none"
        raise InvalidRequest(
            f"{unknown[0]}: is not a parameter of this route; {allowed}",
            errors=[{"field": name, "message": f"is not a parameter of this route; {allowed}"} for name in unknown],
        )


def query_names(route: APIRoute) -> frozenset[str]:
    """The names of a route's query parameters, those of a parameter model and those that it only documents too."""
    names = _NAMES.get(route.endpoint)
    if names is None:
        declared = (one.alias for one in get_flat_params(route.dependant) if not isinstance(one.field_info, ELSEWHERE))
        documented = (one["name"] for one in (route.openapi_extra or {}).get("parameters", ()) if one["in"] == "query")
        names = _NAMES[route.endpoint] = frozenset([*declared, *documented])
    return names


_NAMES: dict[Callable[..., Any], frozenset[str]] = {}
"""By the endpoint, since a route has no hash."""
