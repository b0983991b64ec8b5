"""One trace from the request over its job to the vector; nothing at all when it is off."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select

from app.core.ids import uuid7
from app.core.jobs import Job, JobKind
from app.db.tables import JobRow
from app.telemetry import tracing
from tests.fixtures import media
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use_provider(provider)
    yield exporter
    tracing.use_provider(None)
    provider.shutdown()


def of_trace(exporter: InMemorySpanExporter, trace_id: int) -> list[ReadableSpan]:
    return [one for one in exporter.get_finished_spans() if one.context and one.context.trace_id == trace_id]


def test_one_trace_from_the_upload_to_the_vector(trained: Service, spans: InMemorySpanExporter) -> None:
    item = '{"item_id": "new", "title": "harbour boat"}'
    headers = {"traceparent": CALLER, "X-Request-Id": "r1"}
    answer = trained.client.post("/items", data={"item": item}, files={"image": media.png(5)}, headers=headers)
    assert answer.status_code == 201
    trained.run_jobs()
    assert trained.client.get("/items/new").json()["recommendable"]
    found = of_trace(spans, 0x0AF7651916CD43DD8448EB211C80319C)
    names = [one.name for one in found]
    assert "POST /items" in names
    assert "send encode" in names
    assert "job encode" in names
    by_id = {one.context.span_id: one for one in found if one.context}
    job = next(one for one in found if one.name == "job encode")
    assert job.parent is not None
    inside = [one for one in found if one.name == "transaction" and one.parent and one.parent.span_id in by_id]
    assert inside, "the database is seen"
    request = next(one for one in found if one.name == "POST /items")
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == CALLER.split("-")[2]
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 201
    with trained.context.database.transaction() as transaction:
        rows = transaction.session.scalars(select(JobRow).where(JobRow.kind == "encode")).all()
    assert [row.trace["request_id"] for row in rows if row.trace and row.trace.get("request_id") == "r1"]


def test_off_means_nothing(light: Service) -> None:
    assert not tracing.is_on()
    assert tracing.span("a") is tracing.span("b", kind=tracing.SpanKind.CLIENT, x=1)
    tracing.annotate(x=1)
    put_item(light, "a", "x")
    with light.context.database.transaction() as transaction:
        traces = transaction.session.scalars(select(JobRow.trace)).all()
    assert all(set(trace or {}) <= {"request_id"} for trace in traces)


def test_a_job_of_nobody_carries_nothing() -> None:
    assert tracing.carrier() == {}
    assert Job(uuid7(), JobKind.ENCODE).kind.task_name == "crossan.encode"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], expected: bool) -> None:
    assert tracing.wanted(environment) is expected
