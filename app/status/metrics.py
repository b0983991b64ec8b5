"""Metrics that only the database knows: queues, workers, models and freshness, of every project, read at scrape."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError

from app.db.session import Database, Transaction
from app.models.freshness import BOUNDS_S

log = structlog.get_logger(__name__)

WINDOW_S = 900
"""Throughputs are means over this long."""
TRAINING_WINDOW_S = 86_400

_OPEN_JOBS = """
SELECT kind, count(*) FILTER (WHERE state = 'queued') AS waiting, count(*) FILTER (WHERE state = 'running') AS running,
    coalesce(max(extract(epoch FROM now() - created_at)) FILTER (WHERE state = 'queued'), 0) AS oldest_s
FROM jobs WHERE state IN ('queued', 'running') GROUP BY kind
"""
_ENDED_JOBS = """
SELECT kind, state, count(*) AS jobs, coalesce(avg(extract(epoch FROM finished_at - started_at)), 0) AS run_s,
    coalesce(avg(extract(epoch FROM started_at - created_at)), 0) AS wait_s
FROM jobs WHERE finished_at > now() - make_interval(secs => :window_s) GROUP BY kind, state
"""
_ENCODED = """
SELECT coalesce(sum((result->>'contents')::bigint), 0) AS done,
    sum(extract(epoch FROM finished_at - started_at)) AS run_s
FROM jobs WHERE kind = 'encode' AND state = 'succeeded' AND finished_at > now() - make_interval(secs => :window_s)
"""
_TRAINED = """
SELECT coalesce(sum((progress->'data_cut'->>'events')::bigint * (progress->>'epoch')::bigint), 0) AS done,
    sum(extract(epoch FROM finished_at - started_at)) AS run_s
FROM jobs WHERE kind = 'train' AND state = 'succeeded' AND finished_at > now() - make_interval(secs => :window_s)
"""
_MODELS = """
SELECT p.name AS project, extract(epoch FROM now() - v.created_at) AS age_s
FROM projects p JOIN model_versions v ON v.id = p.live_version_id ORDER BY p.id LIMIT 1000
"""
_FRESHNESS = "SELECT bucket, sum(items)::bigint AS items, sum(seconds) AS seconds FROM freshness GROUP BY bucket"
_WAITING = """
SELECT count(*) AS items, coalesce(max(extract(epoch FROM now() - a.arrived_at)), 0) AS oldest_s
FROM arrivals a JOIN projects p ON p.id = a.project_id JOIN model_versions v ON v.id = p.live_version_id
WHERE a.arrived_at > v.created_at
"""


class DatabaseMetrics:
    """A collector for a `prometheus_client` registry; blocks while it reads.

    Args:
        database: the truth.
        cache_s: how long a reading is shown again: scrapes, however many, cost the database one reading in this time.
        objective_s: seconds from upload to recommendable that are good enough; the nearest bucket below counts.
    """

    def __init__(self, database: Database, *, cache_s: float, objective_s: float) -> None:
        self._database = database
        self._cache_s = cache_s
        self._objective_s = objective_s
        self._read_at = -float("inf")
        self._metrics: Sequence[Metric] = ()
        self._lock = threading.Lock()
        self._names: Mapping[int, str] = {}

    def describe(self) -> list[Metric]:
        """Nothing, so that registering reads nothing."""
        return []

    def collect(self) -> Sequence[Metric]:
        """The newest reading; without a database only that there is none."""
        with self._lock:
            if time.monotonic() - self._read_at >= self._cache_s:
                self._metrics = self._read()
                self._read_at = time.monotonic()
            return self._metrics

    def project_names(self) -> Mapping[int, str]:
        """Names by number, as of the last reading."""
        return self._names

    def _read(self) -> Sequence[Metric]:
        is_up = GaugeMetricFamily("crossan_database_up", "Whether the last scrape could read the database.")
        try:
            with self._database.transaction() as transaction:
                found = [*_jobs(transaction), *_throughput(transaction), *_models(transaction)]
                found += _freshness(transaction, self._objective_s)
                self._names = {row.id: row.name for row in _rows(transaction, "SELECT id, name FROM projects")}
        except SQLAlchemyError as error:
            log.warning("metrics of the database not read", error=str(error))
            found = []
        is_up.add_metric([], 1.0 if found else 0.0)
        return [is_up, *found]


def _rows(transaction: Transaction, query: str, **parameters: Any) -> Sequence[Row[Any]]:
    return transaction.session.execute(text(query), parameters).all()


def _gauge(name: str, documentation: str, values: Mapping[Any, float], labels: Sequence[str]) -> Metric:
    """Values by the tuple of their labels."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for key, value in values.items():
        family.add_metric(key, float(value))
    return family


def _jobs(transaction: Transaction) -> Iterator[Metric]:
    waiting = {(row.kind,): row for row in _rows(transaction, _OPEN_JOBS)}
    for name, documentation, column in (
        ("crossan_jobs_waiting", "Jobs that wait for a worker.", "waiting"),
        ("crossan_jobs_running", "Jobs that a worker has.", "running"),
        ("crossan_job_oldest_waiting_seconds", "Age of the oldest job that waits.", "oldest_s"),
    ):
        yield _gauge(name, documentation, {key: getattr(row, column) for key, row in waiting.items()}, ["kind"])
    ended = {(row.kind, row.state): row for row in _rows(transaction, _ENDED_JOBS, window_s=WINDOW_S)}
    for name, documentation, column in (
        ("crossan_jobs_ended_recently", "Jobs that ended in the last 15 minutes.", "jobs"),
        ("crossan_job_recent_run_seconds", "Their mean time in a worker.", "run_s"),
        ("crossan_job_recent_wait_seconds", "Their mean time before that.", "wait_s"),
    ):
        values = {key: getattr(row, column) for key, row in ended.items()}
        yield _gauge(name, documentation, values, ["kind", "state"])


def _throughput(transaction: Transaction) -> Iterator[Metric]:
    encoded = _rows(transaction, _ENCODED, window_s=WINDOW_S)[0]
    trained = _rows(transaction, _TRAINED, window_s=TRAINING_WINDOW_S)[0]
    yield _gauge(
        "crossan_encode_contents_per_second",
        "Contents encoded a second of work, last 15 minutes.",
        {(): _rate(encoded)},
        [],
    )
    yield _gauge(
        "crossan_train_events_per_second",
        "Events trained on (each epoch again) a second of whole trainings, last day.",
        {(): _rate(trained)},
        [],
    )


def _rate(row: Row[Any]) -> float:
    return float(row.done) / float(row.run_s) if row.run_s else 0.0


def _models(transaction: Transaction) -> Iterator[Metric]:
    ages = {(row.project,): row.age_s for row in _rows(transaction, _MODELS)}
    yield _gauge("crossan_model_age_seconds", "Time since the live version was trained.", ages, ["project"])


def _freshness(transaction: Transaction, objective_s: float) -> Iterator[Metric]:
    rows = {row.bucket: row for row in _rows(transaction, _FRESHNESS)}
    counts = [int(rows[index].items) if index in rows else 0 for index in range(len(BOUNDS_S))]
    cumulated = [sum(counts[: index + 1]) for index in range(len(counts))]
    histogram = HistogramMetricFamily(
        "crossan_freshness_seconds", "Seconds from a content's arrival to a vector of its item under the live version."
    )
    bounds = [str(bound) if bound != float("inf") else "+Inf" for bound in BOUNDS_S]
    histogram.add_metric([], list(zip(bounds, cumulated, strict=True)), sum(row.seconds for row in rows.values()))
    yield histogram
    within = sum(count for bound, count in zip(BOUNDS_S, counts, strict=True) if bound <= objective_s)
    objective = CounterMetricFamily(
        "crossan_freshness_objective",
        f"Items by whether they were recommendable within {objective_s:g} s.",
        labels=["met"],
    )
    objective.add_metric(["yes"], within)
    objective.add_metric(["no"], sum(counts) - within)
    yield objective
    waiting = _rows(transaction, _WAITING)[0]
    yield _gauge("crossan_arrivals_waiting", "Items with content that has no vector yet.", {(): waiting.items}, [])
    yield _gauge("crossan_arrival_oldest_waiting_seconds", "Age of the oldest.", {(): waiting.oldest_s}, [])
