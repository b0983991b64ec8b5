"""A job goes on with the request and the trace that asked for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.db.tables import JobRow
from app.telemetry import tracing


@contextmanager
def followed(row: JobRow) -> Iterator[None]:
    """Log lines of the context name the job and its request; spans belong to the request's trace."""
    trace = row.trace or {}
    names = {tracing.REQUEST_ID: trace[tracing.REQUEST_ID]} if tracing.REQUEST_ID in trace else {}
    with (
        structlog.contextvars.bound_contextvars(job=str(row.id), kind=row.kind, project=row.project_id, **names),
        tracing.span(f"job {row.kind}", kind=tracing.SpanKind.CONSUMER, parent=trace, messaging_system="celery"),
    ):
        yield
