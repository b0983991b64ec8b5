"""Typed jobs: what the API asks of the workers, by name and queue, without importing them."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class Queue(StrEnum):
    """The broker's queues; a worker process serves some of them."""

    ENCODE = "encode"
    INDEX = "index"
    TRAIN = "train"
    QUERY = "query"
    """Somebody waits for the answer."""
    TRANSFER = "transfer"
    """Waits for networks and disks, never for a processor."""
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
    QUERY = "query"
    """Give an uploaded medium its vector under the live version, for somebody who waits."""
    IMPORT = "import"
    """Read a file of items or events from the blob store."""
    EXPORT = "export"
    """Write items or events into the blob store."""
    FETCH = "fetch"
    """Fetch media that items name by their address."""
    ESTIMATE = "estimate"
    """Estimate on recorded answers what another version would have done."""
    DELIVER = "deliver"
    """Send webhook messages that are due."""

    @property
    def queue(self) -> Queue:
        """Where messages of this kind go."""
        return _QUEUES[self]

    @property
    def task_name(self) -> str:
        """The Celery task that does the work."""
        return f"crossan.{self.value}"

    @property
    def resumes(self) -> bool:
        """Whether the progress of an attempt says where the next one goes on."""
        return self is JobKind.IMPORT

    @property
    def coalesces(self) -> bool:
        """Whether one waiting job stands for any number of requests: it looks up what there is to do when it starts."""
        return self in (JobKind.ENCODE, JobKind.INDEX, JobKind.FETCH, JobKind.DELIVER)


_QUEUES = {
    JobKind.ENCODE: Queue.ENCODE,
    JobKind.INDEX: Queue.INDEX,
    JobKind.TRAIN: Queue.TRAIN,
    JobKind.QUERY: Queue.QUERY,
    JobKind.IMPORT: Queue.TRANSFER,
    JobKind.EXPORT: Queue.TRANSFER,
    JobKind.FETCH: Queue.TRANSFER,
    JobKind.ESTIMATE: Queue.INDEX,
    JobKind.DELIVER: Queue.TRANSFER,
}


@dataclass(frozen=True)
class Job:
    """The message: it names a row of the `jobs` table, which holds everything else."""

    id: UUID
    kind: JobKind
