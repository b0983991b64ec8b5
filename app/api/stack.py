"""What stands in front of the routes of the API process."""

from collections.abc import Sequence

from starlette.middleware.gzip import GZipMiddleware

from app.api.application import Application
from app.api.errors import Problems
from app.api.fast_lane import FastLane
from app.api.idempotency import IdempotencyMiddleware
from app.api.middleware import BodyLimitMiddleware, RequestIdMiddleware, VersionPrefixMiddleware
from app.api.telemetry import RequestMeter, TelemetryMiddleware
from app.core.config import Settings

UPLOAD_PATHS = r"/items|/items/[^/]+/media/[^/]+|/similar"
BULK_PATHS = r"/items:batch|/events:batch|/admin/imports"
MULTIPART_OVERHEAD_BYTES = 1 << 20
GZIP_LEVEL = 1
"""A tenth larger than by level 9, in a seventh of the time (100 recommended items)."""


def add_middleware(app: Application, settings: Settings, problems: Problems) -> None:
    """The fast lane; version prefix, request ids, measurement, compression, limits, idempotency keys; the routes."""
    app.add_middleware(IdempotencyMiddleware, problems=problems)
    app.add_middleware(
        BodyLimitMiddleware,
        problems=problems,
        default_bytes=settings.json_body_limit_bytes,
        limits=_limits(settings),
    )
    if settings.gzip_min_bytes:
        app.add_middleware(GZipMiddleware, minimum_size=settings.gzip_min_bytes, compresslevel=GZIP_LEVEL)
    meter = RequestMeter(slow_s=settings.slow_request_s)
    app.add_middleware(TelemetryMiddleware, meter=meter)
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(VersionPrefixMiddleware)
    app.lane = FastLane(state=app.state, meter=meter, gzip_min_bytes=settings.gzip_min_bytes, gzip_level=GZIP_LEVEL)


def _limits(settings: Settings) -> Sequence[tuple[str, int]]:
    """Paths that take more than JSON, each with its limit in bytes; their routes have closer limits of their own."""
    media = settings.media
    upload_bytes = sum(media.max_bytes(kind) for kind in settings.media_kinds.values()) + MULTIPART_OVERHEAD_BYTES
    return [(UPLOAD_PATHS, upload_bytes), (BULK_PATHS, settings.bulk_body_limit_bytes)]
