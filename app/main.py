"""Assembles the API process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from redis.asyncio import Redis as AsyncRedis
from starlette.staticfiles import StaticFiles

from app.api import idempotency, openapi
from app.api.application import Application
from app.api.auth import Authenticator
from app.api.deps import Edge
from app.api.errors import Problems
from app.api.observing import service_metrics, warming_up
from app.api.rate_limit import Rate, RateLimiter
from app.api.routes import (
    batches,
    browse,
    estimates,
    events,
    experiments,
    health,
    impressions,
    items,
    jobs,
    keys,
    metrics,
    models,
    problem_pages,
    recommendations,
    replay,
    scenarios,
    schedules,
    similar,
    status,
    trainings,
    transfers,
    users,
    webhooks,
)
from app.api.stack import add_middleware
from app.context import Context, build_context
from app.core.config import Settings
from app.core.logging import configure_logging
from app.impressions.log import BufferedAnswerLog
from app.recommendations.directory import StateDirectory
from app.recommendations.history import HistoryReader
from app.recommendations.matrix_store import MatrixStore
from app.recommendations.search.policy import IndexPolicy
from app.recommendations.service import Recommender
from app.recommendations.state import ServingPolicy, TrendingPolicy
from app.stores.pipelined_redis import PipelinedRedis
from app.stores.sequence_cache import RedisSequenceReader
from app.telemetry.tracing import configure_tracing
from app.ui import STATIC

ROUTES = (
    recommendations,
    items,
    events,
    impressions,
    replay,
    batches,
    transfers,
    similar,
    browse,
    scenarios,
    experiments,
    estimates,
    users,
    trainings,
    models,
    schedules,
    jobs,
    webhooks,
    keys,
    status,
    health,
    metrics,
    problem_pages,
)
"""They are tried in turn: the one that is asked for most comes first."""
CACHE_TIMEOUT_S = 1.0
"""Then the database is asked instead."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application; connections are opened when it starts and closed when it ends."""
    settings = settings or Settings()
    configure_logging(settings.log_level)
    configure_tracing("crossan-api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context = build_context(settings)
        # Reads that hang must end soon, listening for announcements must not.
        sequences = PipelinedRedis(settings.redis, timeout_s=CACHE_TIMEOUT_S)
        cache = AsyncRedis.from_url(
            settings.redis, socket_connect_timeout=CACHE_TIMEOUT_S, socket_timeout=CACHE_TIMEOUT_S
        )
        announcements = AsyncRedis.from_url(settings.redis, socket_connect_timeout=CACHE_TIMEOUT_S)
        directory = _directory(context, announcements)
        reader = RedisSequenceReader(sequences, ttl_s=settings.sequence_ttl_s)
        history = HistoryReader(context.database, reader, cap=settings.sequence_cap, users=settings.user_cache)
        answers = BufferedAnswerLog(context.database, flush_s=settings.answer_flush_s)
        app.state.edge = Edge(context, directory, Recommender(history, answers), answers, history)
        app.state.limiter = _limiter(settings, cache)
        app.state.authenticator = Authenticator(context.database, cache_s=settings.key_cache_s)
        directory.start()
        answers.start()
        app.state.service_metrics = service_metrics(context, directory)
        async with warming_up(context, directory, history) as app.state.warm_up:
            yield
        await answers.stop()
        await directory.stop()
        await announcements.aclose()
        await cache.aclose()
        await sequences.aclose()
        context.close()

    app = Application(
        title="CROSSAN",
        summary="Next-item recommendations from what an item is and what people did.",
        version="0.1.0",
        lifespan=lifespan,
        root_path_in_servers=False,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    problems = Problems(settings.public_url)
    problems.install(app)
    app.state.problems = problems
    idempotency.install(app)
    for routes in ROUTES:
        app.include_router(routes.router)
    app.mount("/ui", StaticFiles(directory=STATIC, html=True), name="ui")
    add_middleware(app, settings, problems)
    openapi.install(app, page=STATIC / "docs.html")
    return app


def _limiter(settings: Settings, redis: AsyncRedis) -> RateLimiter:
    default = settings.rate_per_s and Rate.of(settings.rate_per_s, settings.rate_burst)
    return RateLimiter(redis, default=default or None)


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
        serving=ServingPolicy(
            MatrixStore(settings.matrices_dir, context.database),
            IndexPolicy(
                kind=settings.index_kind,
                recall=settings.index_recall,
                quantised_from=settings.index_quantised_from,
                hnsw_from=settings.index_hnsw_from,
            ),
        ),
    )
