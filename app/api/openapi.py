"""The OpenAPI document: FastAPI's, below `/v1`, with the problems, keys, scopes and examples of every operation."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute, iter_route_contexts

from app.api.errors import MEDIA_TYPE
from app.api.idempotency import READS_BY_POST
from app.api.openapi_examples import Examples
from app.api.paths import VERSION_PREFIX
from app.api.problem_kinds import problem_kinds

UNVERSIONED = ("/health", "/metrics", "/problems")
WRITES = frozenset({"post", "put", "patch", "delete"})
DESCRIPTION = """Every operation is served below `/v1` and at the bare path. Errors are problem documents (RFC 9457)
whose `type` leads to a page that says what to do. Writes take an `Idempotency-Key`; items have an `ETag`."""
_PROBLEM = {
    "type": "object",
    "description": "A problem document (RFC 9457). Kinds may add members of their own.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "description": "Leads to the page of this kind."},
        "title": {"type": "string", "description": "The kind, in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong this time."},
        "errors": {
            "type": "array",
            "description": "What was wrong with which field; may have the limit.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of your own for this one request: sent again within a day, it is answered again and done "
    "once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "example": "4f1c6a52-order-1001",
}
_DETAILS = {
    400: "The body could not be read.",
    401: "No valid key was sent.",
    403: "The key lacks the scope.",
    404: "There is no such thing in this project.",
    409: "It cannot be done now: it conflicts with what there is, or the first request with this Idempotency-Key runs.",
    410: "Something that this was made from is no longer kept.",
    412: "The item is not as `If-Match` or `If-None-Match` demands.",
    413: "The body is larger than the limit.",
    415: "The body has another media type than the route takes.",
    422: "A field is wrong; `errors` name it.",
    429: "The key is over its rate; `Retry-After` says when it is not.",
    503: "The database or the cache does not answer, or the process is not ready.",
    504: "No worker has done its part in time; `Retry-After` says when to try again.",
}
_KINDS = {
    400: "bad-request",
    401: "not-authenticated",
    403: "scope-missing",
    404: "not-found",
    409: "idempotency-conflict",
    410: "not-replayable",
    412: "precondition-failed",
    413: "payload-too-large",
    415: "unsupported-content-type",
    422: "invalid-request",
    429: "rate-limited",
    503: "dependency-unavailable",
    504: "answer-timed-out",
}


_OF_PATHS: Mapping[str, Sequence[int]] = {
    "/health/ready": (503,),
    "/metrics": (401, 403, 429, 503),
    "/similar.*": (504,),
    ".*/replay": (410,),
    ".*:batch": (415,),
}
"""What besides may come of some paths."""


def install(app: FastAPI, *, page: Path) -> None:
    """Serve this document instead of FastAPI's own, and at `/docs` the page that draws it.

    FastAPI's page fetches its scripts from a public host, so it stays empty where there is no way to one.
    """

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    async def documentation(_: Request) -> Response:
        return FileResponse(page)

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_route("/docs", documentation, include_in_schema=False)


def build(app: FastAPI) -> dict[str, Any]:
    """The document of an application whose routes are complete."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
        separate_input_output_schemas=app.separate_input_output_schemas,
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    scopes, examples = _scopes(app), Examples(schemas)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, path, method, scopes.get((path, method)))
            _exemplify(operation, examples)
    document["paths"] = {_versioned(path): operations for path, operations in document["paths"].items()}
    return document


def _versioned(path: str) -> str:
    return path if path.startswith(UNVERSIONED) else VERSION_PREFIX + path


def _scopes(app: FastAPI) -> dict[tuple[str, str], str]:
    """The scope that each operation demands, by path and method."""
    found = {}
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for scope in _scopes_of(route.dependant):
                found.update({(route.path_format, method.lower()): str(scope) for method in route.methods or ()})
    return found


def _scopes_of(dependant: Dependant) -> Iterator[str]:
    scope = getattr(dependant.call, "scope", None)
    if scope is not None:
        yield scope
    for one in dependant.dependencies:
        yield from _scopes_of(one)


def _complete(operation: dict[str, Any], path: str, method: str, scope: str | None) -> None:
    """Document what holds for every operation of its sort."""
    is_write = method in WRITES and scope is not None and not READS_BY_POST.fullmatch(path)
    if is_write:
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    if scope is not None:
        operation["security"] = [{name: [scope] for name in one} for one in operation["security"]]
    statuses = set(_statuses(operation, path, scope, is_write=is_write))
    responses = operation.setdefault("responses", {})
    responses.pop("422", None)
    for status in sorted(statuses):
        responses.setdefault(str(status), _problem_response(status))


def _statuses(operation: Mapping[str, Any], path: str, scope: str | None, *, is_write: bool) -> Iterator[int]:
    names = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
    body = operation.get("requestBody", {}).get("content", {})
    if scope is not None:
        yield from (401, 403, 422, 429, 503)
    yield from next((extra for pattern, extra in _OF_PATHS.items() if re.fullmatch(pattern, path)), ())
    if "{" in path or body or names & {"scenario", "versions"}:
        yield 404
    if body:
        yield from (400, 413)
    if is_write:
        yield 409
    if "if-match" in names:
        yield 412


def _problem_response(status: int) -> dict[str, Any]:
    kind = problem_kinds().get(_KINDS[status])
    title = kind.title if kind else HTTPStatus(status).phrase
    example = {"type": f"/problems/{_KINDS[status]}", "title": title, "status": status, "detail": _DETAILS[status]}
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": _DETAILS[status], "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


def _exemplify(operation: dict[str, Any], examples: Examples) -> None:
    """Give every body that has no example one."""
    bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
    for body in bodies:
        for media in body.get("content", {}).values():
            if "example" not in media and "examples" not in media:
                media["example"] = examples.of(media.get("schema", {}))
