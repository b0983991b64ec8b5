"""What a worker process is made of, built on the first task that needs it: one that only sweeps never loads torch."""

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from app.context import Context, build_context
from app.core.config import Settings
from app.items.encoding import EncodingService
from app.models.vectors import VectorService
from app.recommendations.similar_queries import QueryAnswerer
from app.training.pipeline import TrainingParts

if TYPE_CHECKING:
    from worker.encoders import DecodingPool

shutting_down = threading.Event()
"""Set when the process has been asked to end: running work gives its job back."""


@dataclass(frozen=True)
class WorkerContext:
    """The shared parts of a worker's tasks."""

    base: Context
    vectors: VectorService


@lru_cache(maxsize=1)
def worker_context() -> WorkerContext:
    """Stores and torch-free services."""
    base = build_context(Settings())
    vectors = VectorService(base.database, base.features, base.artifacts, changes=base.changes, queue=base.queue)
    return WorkerContext(base, vectors)


@lru_cache(maxsize=1)
def decoding_pool() -> "DecodingPool":
    """Decodes for encoding and training; its processes start when they are first needed."""
    from worker.encoders import DecodingPool

    return DecodingPool(worker_context().base.settings)


@lru_cache(maxsize=1)
def encoding_service() -> EncodingService:
    """The encoders, loaded on first use and registered as those in charge."""
    from worker.device import pick_device
    from worker.encoders import load_encoders
    from worker.live_encoders import LiveEncoderCache

    base = worker_context().base
    settings = base.settings
    encoders = load_encoders(settings)
    service = EncodingService(
        base.database,
        base.blobs,
        base.features,
        encoders=encoders,
        decode=decoding_pool().decode,
        batch=settings.encode_batch,
        own_encoders=LiveEncoderCache(
            base.database, base.artifacts, in_charge=encoders, device=pick_device(settings.device)
        ).of,
    )
    service.register(base.queue)
    return service


def query_answerer() -> QueryAnswerer:
    """Answers questions for vectors of uploads, by the same encoders."""
    base = worker_context().base
    return QueryAnswerer(base.database, base.blobs, base.artifacts, encode=encoding_service().encode_one)


def training_parts() -> TrainingParts:
    """What a training needs."""
    from worker.device import pick_device
    from worker.trainer import TorchTrainer

    base = worker_context().base
    return TrainingParts(
        database=base.database,
        features=base.features,
        artifacts=base.artifacts,
        queue=base.queue,
        changes=base.changes,
        trainer=TorchTrainer(device=pick_device(base.settings.device), processes=base.settings.train_processes),
        blobs=base.blobs,
        decode=decoding_pool().decode,
        modalities=base.settings.modalities,
    )
