"""The way of most requests: `GET /recommend/{user}` with a known key, answered without the framework.

Pure ASGI in front of everything else, because routing, dependencies and a middleware for each concern cost more than
the recommendation. It takes a request only when all it needs is at hand, and answers only when nothing is wrong;
whatever else there is goes the ordinary way, which tells every error. Both ways give the same answer.
"""

import os
import re
import time
import zlib
from collections.abc import Iterable
from typing import Any

import orjson
import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.auth import Authenticator
from app.api.deps import Edge
from app.api.middleware import acceptable_id
from app.api.paths import VERSION_PREFIX
from app.api.rate_limit import RateLimiter
from app.api.recommend_requests import known_wish
from app.api.telemetry import RequestMeter
from app.core.errors import CrossanError
from app.core.text import is_identifier
from app.core.types import Scope as KeyScope
from app.telemetry import tracing

ROUTE = "/recommend/{user_id}"
METHOD = "GET"
_USER = re.compile(rf"(?:{VERSION_PREFIX})?/recommend/([^/]+)")
_READ = frozenset({b"authorization", b"x-api-key", b"x-request-id", b"accept-encoding"})
_JSON = (b"content-type", b"application/json")
_VARY = (b"vary", b"Accept-Encoding")
_GZIP = (b"content-encoding", b"gzip")
GZIP_WINDOW = 16 + zlib.MAX_WBITS
TROUBLE = (CrossanError, RedisError, OperationalError, PoolTimeout)


class FastLaneMiddleware:
    """Takes what it can answer, and passes everything else on.

    Args:
        app: the ordinary way.
        state: of the application: its edge, authenticator and limiter, once it runs.
        meter: measures requests.
        gzip_min_bytes: answers from this size on are compressed for clients that take it; 0 never.
        gzip_level: how hard.
    """

    def __init__(self, app: ASGIApp, *, state: Any, meter: RequestMeter, gzip_min_bytes: int, gzip_level: int) -> None:
        self._app = app
        self._state = state
        self._meter = meter
        self._gzip_min_bytes = gzip_min_bytes
        self._gzip_level = gzip_level

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http" and scope["method"] == METHOD and not scope.get("root_path") and not tracing.is_on():
            asked = _USER.fullmatch(scope["path"])
            if asked is not None and await self._serve(scope, send, asked[1]):
                return
        await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, send: Send, user_id: str) -> bool:
        """Whether it has been answered."""
        started = time.perf_counter()
        headers = _headers(scope["headers"])
        edge: Edge = self._state.edge
        wish = known_wish(scope["query_string"])
        principal = self._principal(headers)
        state = None if principal is None else edge.directory.loaded(principal.project)
        if wish is None or principal is None or state is None or not is_identifier(user_id):
            return False
        limiter: RateLimiter = self._state.limiter
        if not limiter.admits_now(principal):
            return False
        request_id = acceptable_id(headers.get(b"x-request-id")) or os.urandom(16).hex()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with self._meter.open():
            try:
                answer = await edge.recommender.recommend_to(state, user_id, wish)
            except TROUBLE:
                limiter.give_back(principal)
                return False
            except Exception:
                self._meter.observe(ROUTE, METHOD, "500", time.perf_counter() - started)
                raise
            await self._send(send, orjson.dumps(answer), request_id, headers)
            self._meter.observe(ROUTE, METHOD, "200", time.perf_counter() - started)
        return True

    def _principal(self, headers: dict[bytes, bytes]) -> Any:
        authenticator: Authenticator = self._state.authenticator
        key = _key_of(headers)
        principal = authenticator.remembered(key) if key else None
        return principal if principal is not None and KeyScope.RECOMMEND in principal.scopes else None

    async def _send(self, send: Send, body: bytes, request_id: str, headers: dict[bytes, bytes]) -> None:
        fields = [_JSON, (b"x-request-id", request_id.encode("latin-1"))]
        if self._gzip_min_bytes and len(body) >= self._gzip_min_bytes:
            fields.append(_VARY)
            if b"gzip" in headers.get(b"accept-encoding", b""):
                body = zlib.compress(body, self._gzip_level, GZIP_WINDOW)
                fields.append(_GZIP)
        fields.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": body})


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Those that are read here; of one that comes twice the first, as elsewhere."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        if name in _READ:
            found.setdefault(name, value)
    return found


def _key_of(headers: dict[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    key = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    return key.decode("latin-1")
