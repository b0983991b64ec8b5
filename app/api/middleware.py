"""Pure ASGI middleware: the version prefix, request ids, bodies within their limit; none touches an answer's body."""

import re
import uuid
from collections.abc import Sequence

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import Problems
from app.api.paths import VERSION_PREFIX, path_of
from app.core.errors import PayloadTooLarge

REQUEST_ID = "x-request-id"
_ACCEPTABLE_ID = re.compile(r"[\w.:/+=-]{1,128}")


class VersionPrefixMiddleware:
    """Serves everything below `/v1` and at the bare path, by the same routes.

    The prefix becomes a part of the root path, as under a mount: routes keep their bare paths and are matched once.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Move the prefix from the path to the root path."""
        if scope["type"] == "http" and path_of(scope).startswith(f"{VERSION_PREFIX}/"):
            scope = {**scope, "root_path": scope.get("root_path", "") + VERSION_PREFIX}
        await self._app(scope, receive, send)


class RequestIdMiddleware:
    """Every response says which request it answers; a caller's own id is kept if it is harmless."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the id to the log and to the response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = acceptable_id(given.encode("latin-1")) or uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


def acceptable_id(given: bytes | None) -> str | None:
    """A caller's own request id, if it is harmless."""
    if not given:
        return None
    text = given.decode("latin-1")
    return text if _ACCEPTABLE_ID.fullmatch(text) else None


class BodyLimitMiddleware:
    """Refuses bodies past a limit, declared or not, before anything holds them in memory.

    Args:
        app: the next application.
        problems: renders the refusal.
        default_bytes: limit of every other path.
        limits: patterns of paths that take more, each with its limit; the first that matches counts.
    """

    def __init__(
        self, app: ASGIApp, *, problems: Problems, default_bytes: int, limits: Sequence[tuple[str, int]]
    ) -> None:
        self._app = app
        self._problems = problems
        self._default_bytes = default_bytes
        self._limits = [(re.compile(pattern), size_bytes) for pattern, size_bytes in limits]

    def _limit(self, path: str) -> int:
        found = (size_bytes for pattern, size_bytes in self._limits if pattern.fullmatch(path))
        return next(found, self._default_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what arrives."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(path_of(scope))
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await self._problems.render(PayloadTooLarge(limit_bytes=limit))(scope, receive, send)
            return
        received = 0

        async def receive_within() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # FastAPI lets only its own errors pass while it reads a body; the handler renders the cause.
                raise HTTPException(413) from PayloadTooLarge(limit_bytes=limit)
            return message

        await self._app(scope, receive_within, send)
