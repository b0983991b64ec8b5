"""The instruments of this process: import one and observe; what other processes did is read at scrape, elsewhere.

Names follow Prometheus (a unit and no abbreviation; counters end in `_total`). No label ever holds the id of a user, an
item or a request, so that the number of series depends on the code and not on the traffic.
"""

import os
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

disable_created_metrics()  # type: ignore[no-untyped-call]

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of several API processes at one address: the folder of the files that they count into."""
REGISTRY = CollectorRegistry()
"""The instruments of this process."""

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STAGE_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)

REQUEST_SECONDS = Histogram(
    "crossan_request_seconds",
    "Time to the end of the answer, by the route's template; status 'aborted' when the client left first.",
    ("route", "method", "status"),
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
REQUESTS_OPEN = Gauge(
    "crossan_requests_open", "Requests being answered now.", registry=REGISTRY, multiprocess_mode="livesum"
)
STAGE_SECONDS = Histogram(
    "crossan_stage_seconds",
    "Time of one stage of an answer: 'history' (Redis, or PostgreSQL after a miss), 'encode', 'rank', 'rerank', …",
    ("stage",),
    buckets=_STAGE_BUCKETS,
    registry=REGISTRY,
)
SEQUENCE_CACHE = Counter(
    "crossan_sequence_cache_reads_total",
    "Reads of users' sequence states by result: 'hit', 'miss' (filled from PostgreSQL), 'away' (Redis did not answer).",
    ("result",),
    registry=REGISTRY,
)
RECOMMENDATIONS = Counter(
    "crossan_recommendations_total",
    "Lists answered, by where they came from: 'personal', or the fallback ('session', 'trending', 'latest', …).",
    ("source",),
    registry=REGISTRY,
)
FALLBACKS = RECOMMENDATIONS
"""The fallback rate is the share of every source but 'personal'."""
ANSWERS_DROPPED = Counter(
    "crossan_answers_dropped_total",
    "Answers that were given but could not be recorded, by reason.",
    ("reason",),
    registry=REGISTRY,
)
INDEX_FAILURES = Counter(
    "crossan_index_failures_total",
    "Searches of the database for items that failed: every vector was read instead.",
    registry=REGISTRY,
)
ANSWERS_WAITING = Gauge(
    "crossan_answers_waiting", "Answers given and not recorded yet.", registry=REGISTRY, multiprocess_mode="livesum"
)
CATALOGUE_REFRESH_SECONDS = Histogram(
    "crossan_catalogue_refresh_seconds",
    "Time of one look at what has changed of a project.",
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
RATE_LIMITED = Counter(
    "crossan_rate_limited_total", "Requests refused because their key is over its rate.", registry=REGISTRY
)
RATE_LEASES = Counter(
    "crossan_rate_leases_total",
    "Leases of tokens asked of Redis, by result: 'granted', 'refused', 'away'.",
    ("result",),
    registry=REGISTRY,
)
IDEMPOTENT_REQUESTS = Counter(
    "crossan_idempotent_requests_total",
    "Requests with an Idempotency-Key, by what became of them: 'first', 'replayed', 'running', 'mismatch', 'lost'.",
    ("result",),
    registry=REGISTRY,
)


def instruments() -> CollectorRegistry:
    """What `/metrics` shows of the instruments: those of this process or, of several at one address, their sums."""
    if METRICS_FOLDER not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def forget_ended_processes() -> None:
    """Take what ended processes were doing out of the sums of what is being done; what they have done stays."""
    folder = os.environ.get(METRICS_FOLDER)
    for path in Path(folder).glob("gauge_live*.db") if folder else ():
        process = int(path.stem.rpartition("_")[2])
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            mark_process_dead(process)  # type: ignore[no-untyped-call]
