"""What is measured of requests, what a scrape shows, and when a process is ready."""

import re
from collections.abc import Iterator

import pytest
import structlog
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from app.api.telemetry import ABORTED, RequestMeter, TelemetryMiddleware
from app.core.config import Settings
from app.core.types import Scope
from app.telemetry.metrics import REGISTRY
from tests.app.api.test_problems import problem_of
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import put_item

NAME = re.compile(r"crossan_[a-z_]+")


def requests(**labels: str) -> float:
    return REGISTRY.get_sample_value("crossan_request_seconds_count", labels) or 0.0


def samples(service: Service) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = service.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/items/nothing", "/items/{item_id}", "404"),
        ("GET", "/v1/items/nothing", "/items/{item_id}", "404"),
        ("PUT", "/items/a?wrong=1", "/items/{item_id}", "422"),
        ("GET", "/health/live", "/health/live", "200"),
        ("GET", "/nowhere/at/all", "unmatched", "404"),
    ],
)
def test_every_status_counts_under_its_template(
    light: Service, method: str, path: str, route: str, status: str
) -> None:
    labels = {"route": route, "method": method, "status": status}
    before = requests(**labels)
    assert light.client.request(method, path, json={} if method == "PUT" else None).status_code == int(status)
    assert requests(**labels) == before + 1


def test_a_bug_and_a_missing_key_count_too(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    client = TestClient(light.client.app, raise_server_exceptions=False)
    client.portal = light.client.portal
    labels = {"route": "/admin/status", "method": "GET"}
    before = requests(**labels, status="401"), requests(**labels, status="500")
    client.get("/admin/status")
    monkeypatch.setattr("app.status.service.StatusService.read", lambda _: 1 / 0)
    client.get("/admin/status", headers=dict(light.client.headers))
    assert (requests(**labels, status="401"), requests(**labels, status="500")) == (before[0] + 1, before[1] + 1)


async def test_a_client_that_leaves_counts_as_aborted() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        assert (await receive())["type"] == "http.disconnect"  # type: ignore[operator]

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        raise AssertionError("nothing is sent")

    labels = {"route": "unmatched", "method": "GET", "status": ABORTED}
    before = requests(**labels)
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    await TelemetryMiddleware(app, meter=RequestMeter(slow_s=1.0))(scope, receive, send)  # type: ignore[arg-type]
    assert requests(**labels) == before + 1


def test_slow_requests_are_logged(
    light_settings: Settings, fakes: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger that has been used keeps its processors, so one that was used before would not be captured.
    monkeypatch.setattr("app.api.telemetry.log", structlog.get_logger("fresh"))
    with (
        running_service(light_settings.model_copy(update={"slow_request_s": 1e-9}), fakes) as service,
        structlog.testing.capture_logs() as lines,
    ):
        service.client.get("/items/secret-id")
    line = next(one for one in lines if one["event"] == "slow request")
    assert line["route"] == "/items/{item_id}"
    assert "secret-id" not in str(line)


def test_a_scrape_shows_queues_and_how_fresh_items_become(trained: Service) -> None:
    put_item(trained, "new", "harbour boat")
    before = samples(trained)
    assert before["crossan_database_up", frozenset()] == 1
    assert before["crossan_jobs_waiting", frozenset({("kind", "encode")})] == 1
    assert before["crossan_arrivals_waiting", frozenset()] == 1
    assert before["crossan_freshness_seconds_count", frozenset()] == 0, "a first model's items waited for it"
    trained.run_jobs()
    after = samples(trained)
    assert ("crossan_jobs_waiting", frozenset({("kind", "encode")})) not in after
    assert after["crossan_arrivals_waiting", frozenset()] == 0
    assert after["crossan_freshness_seconds_count", frozenset()] == 1
    assert after["crossan_freshness_seconds_bucket", frozenset({("le", "+Inf")})] == 1
    met = [after["crossan_freshness_objective_total", frozenset({("met", one)})] for one in ("yes", "no")]
    assert sum(met) == 1
    assert after["crossan_model_age_seconds", frozenset({("project", "default")})] > 0
    trained.client.get("/recommend/u0")
    loaded = samples(trained)
    assert loaded["crossan_catalogue_items", frozenset({("project", "default")})] == 21
    assert loaded["crossan_catalogue_vector_bytes", frozenset({("project", "default"), ("version", "v1")})] > 0


def test_names_follow_the_conventions_and_no_label_holds_an_id(trained: Service) -> None:
    trained.client.get("/recommend/u0")
    trained.client.get("/items/i3")
    for name, labels in samples(trained):
        assert NAME.match(name) or name.startswith(("process_", "python_")), name
        assert {label for label, _ in labels} <= {
            *("route", "method", "status", "stage", "result", "source", "reason", "le", "kind", "state", "met"),
            *("project", "version", "implementation", "major", "minor", "patchlevel"),
        }
        assert not {value for _, value in labels} & {"u0", "i3"}


def test_without_a_database_there_is_still_a_scrape(light_settings: Settings) -> None:
    from app.main import create_app

    away = light_settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/nothing"})
    with TestClient(create_app(away)) as client:
        assert "crossan_database_up 0.0" in client.get("/metrics").text


def test_metrics_may_want_a_key(light_settings: Settings, fakes: dict[str, FakeEncoder]) -> None:
    with running_service(light_settings.model_copy(update={"metrics_public": False}), fakes) as service:
        assert service.client.get("/metrics").status_code == 200
        poor = service.headers(Scope.RECOMMEND)
        problem_of(service.client.get("/metrics", headers=poor), 403, "scope-missing")


@pytest.fixture
def warm(trained_settings: Settings, fakes: dict[str, FakeEncoder]) -> Iterator[Service]:
    with running_service(trained_settings.model_copy(update={"warm_up_s": 30.0}), fakes) as running:
        yield running


def test_ready_means_loaded_and_tried(warm: Service) -> None:
    answer = warm.client.get("/health/ready")
    while answer.status_code == 503:
        problem_of(answer, 503, "not-ready")
        answer = warm.client.get("/health/ready")
    assert answer.json() == {"status": "ready"}
    found = samples(warm)
    assert found["crossan_catalogue_items", frozenset({("project", "default")})] == 20
    with warm.context.database.transaction() as transaction:
        from sqlalchemy import text

        assert transaction.session.scalar(text("SELECT count(*) FROM answers")) == 0, "replays are not recorded"


def test_a_process_that_ends_is_not_ready(light: Service) -> None:
    light.client.app.state.draining = True  # type: ignore[attr-defined]
    problem_of(light.client.get("/health/ready"), 503, "not-ready")
    assert light.client.get("/health/live").status_code == 200
    assert light.client.get("/items").status_code == 200


def test_answers_are_compressed_for_those_who_take_it(light: Service) -> None:
    put_item(light, "a", "x", description="y" * 5_000)
    plain = light.client.get("/items/a", headers={"Accept-Encoding": "identity"})
    small = light.client.get("/items/a", headers={"Accept-Encoding": "gzip"})
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(plain.content) == int(plain.headers["content-length"])
    assert small.json() == plain.json()
    assert "content-encoding" not in light.client.get("/health/live").headers


def test_unknown_query_parameters_are_named(light: Service) -> None:
    body = problem_of(light.client.get("/items?limit=1&offset=3&page=2"), 422, "invalid-request")
    assert [one["field"] for one in body["errors"]] == ["offset", "page"]
    assert "limit" in body["errors"][0]["message"]


def test_no_query_holds_what_the_database_cannot(light: Service) -> None:
    problem_of(light.client.get("/users/u/history?type=a%00b"), 422, "invalid-request")


def test_every_type_of_problem_leads_to_a_page(light: Service) -> None:
    listed = light.client.get("/problems").json()["problems"]
    slugs = {one["type"].rpartition("/")[2] for one in listed}
    assert {"item-not-found", "rate-limited", "method-not-allowed"} <= slugs
    for one in listed:
        page = light.client.get(one["type"]).json()
        assert page == one
        assert len(page["meaning"]) > 10
        html = light.client.get(one["type"], headers={"Accept": "text/html,*/*"})
        assert html.headers["content-type"].startswith("text/html")
        assert page["title"] in html.text
    problem_of(light.client.get("/problems/nonsense"), 404, "not-found")
    assert light.client.get("/problems", headers={"Accept": "text/html"}).text.count("<li>") == len(listed)


def test_types_are_urls_where_the_address_is_known(light_settings: Settings, fakes: dict[str, FakeEncoder]) -> None:
    public = light_settings.model_copy(update={"public_url": "https://shop.example/api/"})
    with running_service(public, fakes) as service:
        kind = service.client.get("/items/nothing").json()["type"]
    assert kind == "https://shop.example/api/problems/item-not-found"
