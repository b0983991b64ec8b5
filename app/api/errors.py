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

from app.core.errors import CrossanError, DependencyUnavailable, InvalidRequest, message_of

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
PATH = "/problems/"
"""Below it lies the page that a `type` leads to."""


class Problems:
    """Makes problem documents whose `type` leads to a page of this service.

    Args:
        public_url: where clients reach the service; without it a `type` is an absolute path, to be resolved by the
            address of the request (RFC 9457, section 3.1.1).
    """

    def __init__(self, public_url: str | None = None) -> None:
        self._base = (public_url or "").rstrip("/") + PATH

    def document(
        self,
        status: int,
        *,
        slug: str,
        title: str,
        detail: str,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Response:
        """One problem document."""
        body = {"type": self._base + slug, "title": title, "status": status, "detail": detail, **(extra or {})}
        if errors:
            body["errors"] = list(errors)
        # Plain json escapes what a client may have sent as a name, lone surrogates too.
        return Response(json.dumps(body, default=str), status, headers, MEDIA_TYPE)

    def render(self, error: CrossanError) -> Response:
        """An error of our own tree."""
        return self.document(
            error.status,
            slug=error.slug,
            title=error.title,
            detail=error.detail,
            errors=error.errors,
            headers=error.headers,
            extra=error.extra,
        )

    def install(self, app: FastAPI) -> None:
        """Register the handlers."""
        app.add_exception_handler(CrossanError, self._on_crossan_error)
        app.add_exception_handler(RequestValidationError, self._on_validation_error)
        app.add_exception_handler(HTTPException, self._on_http_exception)
        app.add_exception_handler(OperationalError, self._on_unavailable)
        app.add_exception_handler(PoolTimeout, self._on_unavailable)
        app.add_exception_handler(RedisError, self._on_unavailable)
        app.add_exception_handler(Exception, self._on_bug)

    async def _on_crossan_error(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, CrossanError)
        return self.render(error)

    async def _on_validation_error(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return self.render(invalid_request(error))

    async def _on_http_exception(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, CrossanError):
            return self.render(error.__cause__)
        status = HTTPStatus(error.status_code)
        return self.document(
            status,
            slug=slug_of(status),
            title=status.phrase.capitalize(),
            detail=str(error.detail),
            headers=error.headers,
        )

    async def _on_unavailable(self, _: Request, error: Exception) -> Response:
        log.error("dependency unavailable", error=str(error))
        return self.render(
            DependencyUnavailable("The database or the cache does not answer; nothing was changed. Try again.")
        )

    async def _on_bug(self, _: Request, error: Exception) -> Response:
        log.error("unexpected error", exc_info=error)
        response = self.render(CrossanError("Something unexpected went wrong; the log of the service has the details."))
        # This answer leaves outside of the middleware that names the request.
        response.headers["X-Request-Id"] = structlog.contextvars.get_contextvars().get("request_id", "")
        return response


def invalid_request(error: RequestValidationError) -> InvalidRequest:
    """What FastAPI or pydantic found wrong, as an error of our own tree."""
    errors = [_field_error(one) for one in error.errors()]
    first = errors[0] if errors else {"field": "body", "message": "invalid"}
    return InvalidRequest(f"{first['field']}: {first['message']}", errors=errors)


def slug_of(status: HTTPStatus) -> str:
    """The kind of an error that only has a status."""
    return status.phrase.lower().replace(" ", "-")


def _field_error(error: Mapping[str, Any]) -> dict[str, Any]:
    location = [str(part) for part in error["loc"]]
    named = location[1:] if len(location) > 1 else location
    limits = {key: value for key, value in error.get("ctx", {}).items() if isinstance(value, int | float | str)}
    return {"field": ".".join(named), "message": message_of(error), **({"limits": limits} if limits else {})}
