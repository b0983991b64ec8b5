"""The way of most requests: `GET /recommend/{user}` with a known key, answered without the framework.

Pure ASGI in front of everything else, because routing, dependencies and a middleware for each concern cost more than
the recommendation. It takes a request only when all it needs is at hand, and answers only when nothing is wrong;
whatever else there is goes the ordinary way, which tells and logs every error. Both ways give the same answer.
"""

import os
import re
import time
import zlib
from collections.abc import Iterable
from typing import Any

import orjson
import structlog
from starlette.types import Scope, Send

from app.api.auth import Authenticator
from app.api.deps import Edge
from app.api.middleware import acceptable_id
from app.api.paths import VERSION_PREFIX
from app.api.rate_limit import RateLimiter
from app.api.recommend_requests import known_wish
from app.api.telemetry import RequestMeter
from app.core.text import is_identifier
from app.core.types import Scope as KeyScope
from app.telemetry import tracing

ROUTE = "/recommend/{user_id}"
METHOD = "GET"
_USER = re.compile(rf"(?:{VERSION_PREFIX})?/recommend/([^/]+)")
_OF_A_BODY = frozenset({b"content-length", b"transfer-encoding"})
_READ = frozenset({b"authorization", b"x-api-key", b"x-request-id", b"accept-encoding"}) | _OF_A_BODY
_JSON = (b"content-type", b"application/json")
_VARY = (b"vary", b"Accept-Encoding")
_GZIP = (b"content-encoding", b"gzip")
GZIP_WINDOW = 16 + zlib.MAX_WBITS


class FastLane:
    """Answers what it can.

    Args:
        state: of the application: its edge, authenticator and limiter, once it runs.
        meter: measures requests.
        gzip_min_bytes: answers from this size on are compressed for clients that take it; 0 never.
        gzip_level: how hard.
    """

    def __init__(self, *, state: Any, meter: RequestMeter, gzip_min_bytes: int, gzip_level: int) -> None:
        self._state = state
        self._meter = meter
        self._gzip_min_bytes = gzip_min_bytes
        self._gzip_level = gzip_level

    async def serve(self, scope: Scope, send: Send) -> bool:
        """Whether the request has been answered; if not, nothing has been sent."""
        if scope["type"] != "http" or scope["method"] != METHOD or scope.get("root_path") or tracing.is_on():
            return False
        asked = _USER.fullmatch(scope["path"])
        return asked is not None and await self._serve(scope, send, asked[1])

    async def _serve(self, scope: Scope, send: Send, user_id: str) -> bool:
        started = time.perf_counter()
        headers = _headers(scope["headers"])
        edge: Edge = self._state.edge
        wish = known_wish(scope["query_string"])
        principal = self._principal(headers)
        state = None if principal is None else edge.directory.loaded(principal.project)
        if wish is None or principal is None or state is None or not is_identifier(user_id):
            return False
        if not _OF_A_BODY.isdisjoint(headers):
            # However long it is: the ordinary way has the limits.
            return False
        limiter: RateLimiter = self._state.limiter
        if not limiter.admits_now(principal):
            return False
        request_id = acceptable_id(headers.get(b"x-request-id")) or os.urandom(16).hex()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        with self._meter.open():
            try:
                body = orjson.dumps(await edge.recommender.recommend_to(state, user_id, wish))
            except Exception:
                # The ordinary way meets the same trouble, and knows what to say about it.
                limiter.give_back(principal)
                return False
            await self._send(send, body, request_id, headers)
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
