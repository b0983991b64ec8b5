"""What a process is made of besides its entry point: the database and the stores, built once from the settings."""

from dataclasses import dataclass

from redis import Redis

from app.core.config import Settings
from app.db.session import Database
from app.items.intake import MediaIntake
from app.stores.artifacts import ArtifactStore
from app.stores.blobs import BlobStore, FsspecBlobStore
from app.stores.changes import ChangeFeed, RedisChangeFeed
from app.stores.features import FeatureStore
from app.stores.queue import CeleryQueue, JobQueue
from app.stores.sequence_cache import RedisSequenceWriter, SequenceWriter
from app.stores.transfers import TransferStore
from app.transfers.writing import WritingParts


@dataclass(frozen=True)
class Context:
    """The shared parts of API and worker processes."""

    settings: Settings
    database: Database
    redis: Redis
    blobs: BlobStore
    features: FeatureStore
    artifacts: ArtifactStore
    queue: JobQueue
    changes: ChangeFeed
    sequences: SequenceWriter
    intake: MediaIntake
    transfers: TransferStore

    @property
    def writing(self) -> WritingParts:
        """What writing lines of items and events needs."""
        return WritingParts(self.database, self.intake, self.queue, self.changes, self.sequences)

    def close(self) -> None:
        """Give every connection back."""
        self.database.close()
        self.redis.close()


def build_context(settings: Settings) -> Context:
    """Connects lazily: nothing is contacted until it is used."""
    redis = Redis.from_url(settings.redis, socket_timeout=5, socket_connect_timeout=2)
    blobs = FsspecBlobStore(settings.blobs)
    return Context(
        settings=settings,
        database=Database(settings.database, pool_size=settings.database_pool),
        redis=redis,
        blobs=blobs,
        features=FeatureStore(settings.features_dir),
        artifacts=ArtifactStore(settings.artifacts_dir),
        queue=CeleryQueue(settings.broker),
        changes=RedisChangeFeed(redis),
        sequences=RedisSequenceWriter(redis, cap=settings.sequence_cap, ttl_s=settings.sequence_ttl_s),
        intake=MediaIntake(blobs, limits=settings.media, kinds=settings.media_kinds, hosts=settings.media_fetch_hosts),
        transfers=TransferStore(settings.blobs),
    )
