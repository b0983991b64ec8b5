"""What a process shows of the service besides its own instruments, and how it gets ready."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from prometheus_client import CollectorRegistry

from app.context import Context
from app.impressions.record import MemoryAnswerLog
from app.recommendations.directory import StateDirectory
from app.recommendations.history import HistoryReader
from app.recommendations.metrics import CatalogueMetrics
from app.recommendations.service import Recommender
from app.recommendations.warm_up import WarmUp
from app.status.metrics import DatabaseMetrics


def service_metrics(context: Context, directory: StateDirectory) -> CollectorRegistry:
    """Collectors of what is in the database and in the catalogues."""
    settings = context.settings
    database = DatabaseMetrics(
        context.database, cache_s=settings.metrics_cache_s, objective_s=settings.freshness_objective_s
    )
    registry = CollectorRegistry()
    registry.register(database)
    registry.register(CatalogueMetrics(directory, names=database.project_names))
    return registry


@asynccontextmanager
async def warming_up(context: Context, directory: StateDirectory, history: HistoryReader) -> AsyncIterator[WarmUp]:
    """Warms up in the background; what it answers is recorded nowhere."""
    recommender = Recommender(history, MemoryAnswerLog())
    warm_up = WarmUp(context.database, directory, recommender, limit_s=context.settings.warm_up_s)
    task = asyncio.create_task(warm_up.run())
    yield warm_up
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
