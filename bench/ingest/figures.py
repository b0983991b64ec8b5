"""Events a second against a bare COPY of the same rows, and streamed uploads against hashing and copying the bytes."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.ingest.events import EventLoad
from bench.ingest.uploads import UploadLoad
from bench.ingest.world import IngestWorld, running_ingest
from bench.measuring import Figure, Options, compare, figure_of
from bench.serve.cores import divide, running_on

log = logging.getLogger(__name__)
EVENTS, QUICK_EVENTS = 40_000, 10_000
UPLOAD_BYTES, QUICK_UPLOAD_BYTES = 128 << 20, 32 << 20
ASKED_PER_S = 5_000.0
"""What the issue asks for on one pair of cores."""


def measure(options: Options) -> Iterator[tuple[str, Figure]]:
    """The figures of the group; unit of the floors: events a second, and megabytes a second."""
    cores = divide()
    with _folder() as folder, running_on(cores.others), running_ingest(folder, cores) as world:
        if options.wants("events", "events_rate"):
            yield from _of_events(world, options)
        if options.wants("items_stream"):
            yield "items_stream", _of_uploads(world, options)


@contextmanager
def _folder() -> Iterator[Path]:
    """Not below a folder that only its owner may enter: PostgreSQL never runs as root."""
    with tempfile.TemporaryDirectory(prefix="crossan-bench-ingest-") as folder:
        yield Path(folder)


def _of_events(world: IngestWorld, options: Options) -> Iterator[tuple[str, Figure]]:
    load = EventLoad(world, events=QUICK_EVENTS if options.quick else EVENTS)
    load.warm_up()
    figure = compare(load.post_per_s, load.copy_per_s, runs=options.runs)
    load.check_sequences()
    yield "events", figure
    yield "events_rate", figure_of([(rate, ASKED_PER_S) for rate in load.rates])


def _of_uploads(world: IngestWorld, options: Options) -> Figure:
    load = UploadLoad(world, size_bytes=QUICK_UPLOAD_BYTES if options.quick else UPLOAD_BYTES)
    load.warm_up()
    figure = compare(load.upload_mb_per_s, load.copy_mb_per_s, runs=options.runs)
    log.info("items_stream: the server grew by %.1f MB in all uploads", load.growth_mb)
    return figure
