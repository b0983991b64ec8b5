"""Typed jobs: what the API asks of the workers, by name and queue, without importing them."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Queue(StrEnum):
    """The broker's queues; a worker process serves some of them."""

    ENCODE = "encode"
    INDEX = "index"
    TRAIN = "train"
    SWEEP = "sweep"
    """Its own, with a worker of its own: long work must not hold up what revives dead work."""


class JobKind(StrEnum):
    """Kinds of long work. Each is a Celery task of the name `crossan.<kind>`."""

    ENCODE = "encode"
    """Run the frozen encoders over every pending content of a project."""
    INDEX = "index"
    """Give every item that lacks one its vector under the live version."""
    TRAIN = "train"
    """Train, export, publish and perhaps promote a version."""

    @property
    def queue(self) -> Queue:
        """Where messages of this kind go."""
        return Queue(self.value)

    @property
    def task_name(self) -> str:
        """The Celery task that does the work."""
        return f"crossan.{self.value}"

    @property
    def coalesces(self) -> bool:
        """Whether one waiting job stands for any number of requests: it looks up what there is to do when it starts."""
        return self in (JobKind.ENCODE, JobKind.INDEX)


@dataclass(frozen=True)
class Job:
    """The message: it names a row of the `jobs` table, which holds everything else."""

    id: UUID
    kind: JobKind
