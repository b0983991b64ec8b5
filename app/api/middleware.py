"""Pure ASGI middleware: request ids, and bodies within their limit. Neither touches the response's body."""

import re
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import render
from app.core.errors import PayloadTooLarge

REQUEST_ID = "x-request-id"
_ACCEPTABLE_ID = re.compile(r"[\w.:/+=-]{1,128}")


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
        request_id = given if _ACCEPTABLE_ID.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


class BodyLimitMiddleware:
    """Refuses bodies past a limit, declared or not, before anything holds them in memory.

    Args:
        app: the next application.
        default_bytes: limit of every path but the upload paths.
        upload_bytes: limit of paths that take media; their routes have closer limits of their own.
        uploads: matches the upload paths.
    """

    def __init__(self, app: ASGIApp, *, default_bytes: int, upload_bytes: int, uploads: str) -> None:
        self._app = app
        self._default_bytes = default_bytes
        self._upload_bytes = upload_bytes
        self._uploads = re.compile(uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what arrives."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_bytes if self._uploads.fullmatch(scope["path"]) else self._default_bytes
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            await render(PayloadTooLarge(limit_bytes=limit))(scope, receive, send)
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
