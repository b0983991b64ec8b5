"""Traces of OpenTelemetry: one from a request over its jobs to what workers made of them.

It is off, and costs one comparison a span, unless the extra `otel` is installed and a standard variable asks for it:
`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `OTEL_TRACES_EXPORTER=otlp`.
"""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Any

import structlog

log = structlog.get_logger(__name__)

REQUEST_ID = "request_id"
TRACEPARENT = "traceparent"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NOTHING: AbstractContextManager[Any] = nullcontext()


class SpanKind(StrEnum):
    """Which side of a call a span is, in the names of OpenTelemetry."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class _Tracing:
    """The tracer of the process, and the switch: None is off."""

    tracer: Any = None


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces."""
    exporter = environment.get("OTEL_TRACES_EXPORTER", "")
    if exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    return exporter == "otlp" or any(environment.get(name) for name in _ENDPOINTS)


def configure_tracing(service: str) -> None:
    """Send spans where the `OTEL_*` variables say, as `service` unless `OTEL_SERVICE_NAME` is set; once a process."""
    if _Tracing.tracer is not None or not wanted(os.environ):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("no traces: install crossan[otel]")
        return
    os.environ.setdefault("OTEL_SERVICE_NAME", service)
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use_provider(provider)


def is_on() -> bool:
    """Whether spans are made."""
    return _Tracing.tracer is not None


def use_provider(provider: Any) -> None:
    """Make spans by this provider of tracers from now on; None turns tracing off."""
    _Tracing.tracer = provider and provider.get_tracer("crossan")


def span(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, parent: Mapping[str, str] | None = None, **attributes: Any
) -> AbstractContextManager[Any]:
    """A span as long as the context; what runs inside of it, in threads too, is below it.

    Args:
        name: low in variety: no ids.
        kind: the side of a call.
        parent: carries a `traceparent` (W3C Trace Context) from elsewhere; None is the span around this one.
        **attributes: what the span says; `_` in a name stands for `.`.
    """
    tracer = _Tracing.tracer
    if tracer is None:
        return _NOTHING
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    started: AbstractContextManager[Any] = tracer.start_as_current_span(
        name,
        context=TraceContextTextMapPropagator().extract(parent) if parent and TRACEPARENT in parent else None,
        kind=trace.SpanKind[kind.value],
        attributes={key.replace("_", "."): value for key, value in attributes.items()},
    )
    return started


def annotate(**attributes: Any) -> None:
    """Say more of the present span."""
    if _Tracing.tracer is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attributes({key.replace("_", "."): value for key, value in attributes.items()})


def carrier() -> dict[str, str]:
    """What a message takes along, so that who gets it goes on with the same request and trace."""
    carried: dict[str, str] = {}
    request_id = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    if request_id:
        carried[REQUEST_ID] = request_id
    if _Tracing.tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carried)
    return carried
