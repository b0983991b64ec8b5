"""Assembles the API process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.asyncio import Redis as AsyncRedis
from starlette.staticfiles import StaticFiles

from app.api import errors
from app.api.auth import Authenticator
from app.api.deps import Edge
from app.api.middleware import BodyLimitMiddleware, RequestIdMiddleware
from app.api.routes import admin, events, health, items, recommendations
from app.context import Context, build_context
from app.core.config import Settings
from app.core.logging import configure_logging
from app.recommendations.directory import StateDirectory
from app.recommendations.history import HistoryReader
from app.recommendations.service import Recommender
from app.recommendations.state import TrendingPolicy
from app.stores.sequence_cache import RedisSequenceReader
from app.ui import STATIC

UPLOAD_PATHS = r"/items|/items/[^/]+/media/[^/]+"
MULTIPART_OVERHEAD_BYTES = 1 << 20
CACHE_TIMEOUT_S = 1.0
"""Then the database is asked instead."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application; connections are opened when it starts and closed when it ends."""
    settings = settings or Settings()
    configure_logging(settings.log_level)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = build_context(settings)
        # Two clients: a read that hangs must end soon, listening for announcements must not.
        cache = AsyncRedis.from_url(
            settings.redis, socket_connect_timeout=CACHE_TIMEOUT_S, socket_timeout=CACHE_TIMEOUT_S
        )
        announcements = AsyncRedis.from_url(settings.redis, socket_connect_timeout=CACHE_TIMEOUT_S)
        directory = _directory(context, announcements)
        reader = RedisSequenceReader(cache, ttl_s=settings.sequence_ttl_s)
        history = HistoryReader(context.database, reader, cap=settings.sequence_cap)
        app.state.edge = Edge(context, directory, Recommender(history))
        app.state.authenticator = Authenticator(context.database, cache_s=settings.key_cache_s)
        directory.start()
        yield
        await directory.stop()
        await announcements.aclose()
        await cache.aclose()
        context.close()

    app = FastAPI(
        title="CROSSAN",
        summary="Next-item recommendations from what an item is and what people did.",
        version="0.1.0",
        lifespan=lifespan,
    )
    errors.install(app)
    for routes in (items, events, recommendations, admin, health):
        app.include_router(routes.router)
    app.mount("/ui", StaticFiles(directory=STATIC, html=True), name="ui")
    limits = settings.media
    app.add_middleware(
        BodyLimitMiddleware,
        default_bytes=settings.json_body_limit_bytes,
        upload_bytes=sum(limits.max_bytes(kind) for kind in settings.media_kinds.values()) + MULTIPART_OVERHEAD_BYTES,
        uploads=UPLOAD_PATHS,
    )
    app.add_middleware(RequestIdMiddleware)
    return app


def _directory(context: Context, redis: AsyncRedis) -> StateDirectory:
    settings = context.settings
    return StateDirectory(
        database=context.database,
        artifacts=context.artifacts,
        redis=redis,
        trending=TrendingPolicy(
            half_life_s=settings.trending_half_life_s,
            window_events=settings.trending_window_events,
            refresh_s=settings.trending_refresh_s,
        ),
        poll_s=settings.catalogue_poll_s,
    )
