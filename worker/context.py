"""What a worker process is made of, built on the first task that needs it: one that only sweeps never loads torch."""

import threading
from dataclasses import dataclass
from functools import lru_cache

from app.context import Context, build_context
from app.core.config import Settings
from app.items.encoding import EncodingService
from app.models.vectors import VectorService
from app.training.pipeline import TrainingParts

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
    return WorkerContext(base, VectorService(base.database, base.features, base.artifacts, base.changes))


@lru_cache(maxsize=1)
def encoding_service() -> EncodingService:
    """The encoders, loaded on first use and registered as those in charge."""
    from worker.encoders import DecodingPool, load_encoders

    base = worker_context().base
    settings = base.settings
    encoders = load_encoders(settings)
    service = EncodingService(
        base.database,
        base.blobs,
        base.features,
        encoders=encoders,
        decode=DecodingPool(settings).decode,
        batch=settings.encode_batch,
    )
    service.register(base.queue)
    return service


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
        trainer=TorchTrainer(device=pick_device(base.settings.device)),
        modalities=base.settings.modalities,
    )
