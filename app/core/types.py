"""The vocabulary of identifiers, states and scopes shared by every domain."""

from enum import StrEnum
from typing import NewType

ProjectId = NewType("ProjectId", int)
VersionId = NewType("VersionId", int)


class Scope(StrEnum):
    """What an API key may do."""

    RECOMMEND = "recommend"
    INGEST = "ingest"
    ADMIN = "admin"


class ItemState(StrEnum):
    """How far an item's content has come."""

    PENDING = "pending"
    ENCODED = "encoded"
    READY = "ready"
    FAILED = "failed"


class MediaState(StrEnum):
    """How far one medium, or one content under one encoder, has come."""

    PENDING = "pending"
    ENCODED = "encoded"
    FAILED = "failed"


class FetchState(StrEnum):
    """How far a medium named by its address has come."""

    PENDING = "pending"
    FETCHED = "fetched"
    FAILED = "failed"


class JobState(StrEnum):
    """The life of a job row."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether no worker will touch the job again."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class Promotion(StrEnum):
    """When a trained version goes live."""

    IF_BETTER = "if_better"
    ALWAYS = "always"
    NEVER = "never"


class ExperimentKind(StrEnum):
    """How an experiment compares its arms."""

    SPLIT = "split"
    """Each unit sees one arm."""
    INTERLEAVING = "interleaving"
    """Every answer is drafted from both arms."""


class ExperimentState(StrEnum):
    """The life of an experiment: one way."""

    DRAFT = "draft"
    RUNNING = "running"
    STOPPED = "stopped"
