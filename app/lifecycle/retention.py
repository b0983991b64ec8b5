"""Removes what nobody needs any more: old versions, leftovers of items and encoders, ended jobs and messages."""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.core.types import ProjectId
from app.db.session import Database, Transaction
from app.jobs.service import JobService
from app.lifecycle.leftovers import LeftoverRepository, Part
from app.lifecycle.repository import all_projects
from app.lifecycle.versions import VersionService
from app.recommendations.search.database_graph import drop_forgotten
from app.stores.artifacts import ArtifactStore
from app.stores.blobs import BlobStore
from app.stores.features import FeatureStore
from app.stores.queue import JobQueue
from app.webhooks.repository import forget_messages

log = structlog.get_logger(__name__)

MOST_ROWS = 5_000
"""Jobs or messages forgotten in one transaction."""

_FORGET_JOBS = text("""
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs AS old WHERE old.finished_at < now() - CAST(:age AS interval)
        AND NOT EXISTS (
            SELECT FROM model_versions WHERE model_versions.job_id = old.id AND model_versions.deleted_at IS NULL
        )
        AND NOT EXISTS (SELECT FROM schedules WHERE schedules.last_job_id = old.id)
    LIMIT :most
)
""")


@dataclass(frozen=True)
class RetentionPolicy:
    """What is kept, and for how long."""

    versions: int
    jobs_s: float
    messages_s: float
    leftover_s: float


@dataclass(frozen=True)
class Stores:
    """Where files lie."""

    blobs: BlobStore
    features: FeatureStore
    artifacts: ArtifactStore


class Retention:
    """Cleans up in every project; each step is a transaction of its own, and one that fails holds up no other.

    Args:
        database: knows what is needed.
        stores: hold the files.
        queue: to the workers.
        policy: what is kept.
    """

    def __init__(self, database: Database, stores: Stores, queue: JobQueue, policy: RetentionPolicy) -> None:
        self._database = database
        self._stores = stores
        self._queue = queue
        self._policy = policy

    def apply(self, look: int) -> None:
        """One look: everything about versions, jobs and messages, and one part of the leftovers.

        Args:
            look: number of the look; 256 in a row go through everything.
        """
        part = Part(look, self._policy.leftover_s)
        with self._database.transaction() as transaction:
            projects = all_projects(transaction)
        for project in projects:
            try:
                self._thin_versions(project)
                self._drop_states(project, part)
                self._drop_files(project, part)
            except (OperationalError, OSError) as error:
                log.warning("clean-up put off", project=project, error=type(error).__name__)
        with self._database.transaction() as transaction:
            age = timedelta(seconds=self._policy.jobs_s)
            transaction.session.execute(_FORGET_JOBS, {"age": age, "most": MOST_ROWS})
        with self._database.transaction() as transaction:
            forget_messages(transaction, older_s=self._policy.messages_s, limit=MOST_ROWS)
        drop_forgotten(self._database.engine)

    def _thin_versions(self, project: ProjectId) -> None:
        """Each in a transaction of its own, since there may be millions of vectors."""
        with self._database.transaction() as transaction:
            surplus = self._versions(transaction, project).surplus(self._policy.versions)
        for version in surplus:
            with self._database.transaction() as transaction:
                versions = self._versions(transaction, project)
                if version in versions.surplus(self._policy.versions):
                    versions.delete(version)
                    log.info("old version deleted", project=project, version=version)

    def _versions(self, transaction: Transaction, project: ProjectId) -> VersionService:
        jobs = JobService(transaction, self._queue)
        return VersionService(transaction, project, jobs=jobs, artifacts=self._stores.artifacts)

    def _drop_states(self, project: ProjectId, part: Part) -> None:
        for drop in (LeftoverRepository.drop_foreign_states, LeftoverRepository.drop_lonely_states):
            with self._database.transaction() as transaction:
                shards = drop(LeftoverRepository(transaction, project), part)
                # Before the commit: a shard without rows is young from its first moment on.
                for shard in shards:
                    self._stores.features.touch(shard)

    def _drop_files(self, project: ProjectId, part: Part) -> None:
        """Files are looked up again in the database after they were found old, and only then removed."""
        stores, age_s = self._stores, part.leftover_s
        shards = stores.features.older_than(project, part.prefix, age_s)
        contents = stores.blobs.older_than(project, part.prefix, age_s)
        artifacts = stores.artifacts.published_before(project, age_s)
        with self._database.transaction() as transaction:
            known = LeftoverRepository(transaction, project)
            unnamed = set(shards) - known.named_shards(shards)
            unused = set(contents) - known.used_contents(contents)
            unpublished = set(artifacts) - known.published_artifacts()
        for shard in unnamed:
            stores.features.delete(shard)
        for content in unused:
            stores.blobs.delete_old(project, content, age_s)
        for artifact in unpublished:
            stores.artifacts.discard(stores.artifacts.path(artifact))
        if unnamed or unused or unpublished:
            counts = {"shards": len(unnamed), "blobs": len(unused), "artifacts": len(unpublished)}
            log.info("leftovers removed", project=project, **counts)
