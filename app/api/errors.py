"""Renders every error as RFC 9457 `application/problem+json`."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.core.errors import CrossanError, DependencyUnavailable, InvalidRequest, NotAuthenticated

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_BASE = "urn:crossan:error:"


def problem(
    status: int,
    *,
    slug: str,
    title: str,
    detail: str,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """One problem document."""
    body = {"type": TYPE_BASE + slug, "title": title, "status": status, "detail": detail, **extra}
    if errors:
        body["errors"] = list(errors)
    # Plain json escapes what a client may have sent as a name, lone surrogates too.
    return Response(json.dumps(body, default=str), status, headers, MEDIA_TYPE)


def render(error: CrossanError) -> Response:
    """An error of our own tree."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NotAuthenticated) else None
    return problem(
        error.status,
        slug=error.slug,
        title=error.title,
        detail=error.detail,
        errors=error.errors,
        headers=headers,
        **error.extra,
    )


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(CrossanError, _on_crossan_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(OperationalError, _on_unavailable)
    app.add_exception_handler(PoolTimeout, _on_unavailable)
    app.add_exception_handler(RedisError, _on_unavailable)
    app.add_exception_handler(Exception, _on_bug)


async def _on_crossan_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, CrossanError)
    return render(error)


async def _on_validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_error(one) for one in error.errors()]
    first = errors[0] if errors else {"field": "body", "message": "invalid"}
    return render(InvalidRequest(f"{first['field']}: {first['message']}", errors=errors))


def _field_error(error: Mapping[str, Any]) -> dict[str, Any]:
    location = [str(part) for part in error["loc"]]
    named = location[1:] if len(location) > 1 else location
    limits = {key: value for key, value in error.get("ctx", {}).items() if isinstance(value, int | float | str)}
    return {"field": ".".join(named), "message": error["msg"], **({"limits": limits} if limits else {})}


async def _on_http_exception(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, CrossanError):
        return render(error.__cause__)
    status = HTTPStatus(error.status_code)
    slug = status.phrase.lower().replace(" ", "-")
    return problem(status, slug=slug, title=status.phrase, detail=str(error.detail), headers=error.headers)


async def _on_unavailable(_: Request, error: Exception) -> Response:
    log.error("dependency unavailable", error=str(error))
    return render(DependencyUnavailable("The database or the cache does not answer; nothing was changed. Try again."))


async def _on_bug(_: Request, error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    response = render(CrossanError("Something unexpected went wrong; the log of the service has the details."))
    # This answer leaves outside of the middleware that names the request.
    response.headers["X-Request-Id"] = structlog.contextvars.get_contextvars().get("request_id", "")
    return response
