"""Pure ASGI middleware that measures every request: its time by route and status, its span, and whether it was slow."""

import time
from contextlib import AbstractContextManager
from typing import Any

import structlog
from prometheus_client import Histogram
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry import tracing
from app.telemetry.metrics import REQUEST_SECONDS, REQUESTS_OPEN

log = structlog.get_logger(__name__)

ABORTED = "aborted"
UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
EVENT_STREAM = "text/event-stream"


class _Exchange:
    """What is seen of one request on its way."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.started = time.perf_counter()
        self.status = ABORTED
        self.seconds: float | None = None
        self._receive = receive
        self._send = send
        self._is_over = False

    async def receive(self) -> Message:
        """Notice a client that leaves before it has its answer."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._is_over:
            self.status = ABORTED
            self._is_over = True
        return message

    async def send(self, message: Message) -> None:
        """Notice the status, and the end of the answer."""
        if message["type"] == "http.response.start":
            self.status = str(message["status"])
            if Headers(raw=message["headers"]).get("content-type", "").startswith(EVENT_STREAM):
                self._end()
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._end()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.seconds = time.perf_counter() - self.started

    @property
    def passed_s(self) -> float:
        """Seconds to the end of the answer, or until now."""
        return self.seconds if self.seconds is not None else time.perf_counter() - self.started

    def fail(self) -> None:
        """An error goes past: who stands outside answers with 500 if nothing has been sent."""
        if self.status == ABORTED and not self._is_over:
            self.status = "500"


class RequestMeter:
    """Counts and times requests, whichever way they go.

    Args:
        slow_s: requests that take longer are logged.
    """

    def __init__(self, *, slow_s: float) -> None:
        self._slow_s = slow_s
        self._histograms: dict[tuple[str, str, str], Histogram] = {}

    def open(self) -> AbstractContextManager[object]:
        """While a request is being answered."""
        return REQUESTS_OPEN.track_inprogress()

    def observe(self, route: str, method: str, status: str, seconds: float) -> None:
        """A request is over."""
        labels = (route, method, status)
        histogram = self._histograms.get(labels)
        if histogram is None:
            histogram = self._histograms[labels] = REQUEST_SECONDS.labels(*labels)
        histogram.observe(seconds)
        if seconds > self._slow_s:
            log.warning("slow request", route=route, method=method, status=status, seconds=round(seconds, 3))


class TelemetryMiddleware:
    """Observes the time of requests of every status. An event stream counts until it begins.

    Args:
        app: the next application.
        meter: keeps the times.
    """

    def __init__(self, app: ASGIApp, *, meter: RequestMeter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(receive, send)
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        try:
            with self._meter.open(), tracing.span(method, kind=tracing.SpanKind.SERVER, parent=_parent(scope)) as span:
                await self._measured(scope, exchange)
                if span is not None:
                    _describe(span, scope, method, exchange.status)
        finally:
            self._meter.observe(_route(scope), method, exchange.status, exchange.passed_s)

    async def _measured(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            exchange.fail()
            raise


def _route(scope: Scope) -> str:
    """The template of the path: `/items/{item_id}`."""
    return getattr(scope.get("route"), "path", UNMATCHED)


def _parent(scope: Scope) -> dict[str, str] | None:
    """The caller's trace."""
    if not tracing.is_on():
        return None
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"}


def _describe(span: Any, scope: Scope, method: str, status: str) -> None:
    span.update_name(f"{method} {_route(scope)}")
    attributes = {"http.request.method": method, "http.route": _route(scope), "url.path": scope["path"]}
    span.set_attributes({**attributes, "http.response.status_code": int(status) if status.isdigit() else 0})
