"""Whatever goes wrong, the answer is a problem document that says what and why, and which request it was."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.config import Settings
from app.main import create_app
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import put_item


def problem_of(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(body)
    assert (body["status"], body["type"]) == (status, f"/problems/{kind}")
    return body


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/nothing", "/v1/nothing", "/items/a/b", "/items/a/media", "/admin", "/v1/v1/items"]
)
def test_unknown_routes(shared: Service, path: str) -> None:
    problem_of(shared.client.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/events"), ("POST", "/recommend/u"), ("PUT", "/items"), ("GET", "/v1/recommend")]
)
def test_unknown_methods(shared: Service, method: str, path: str) -> None:
    answer = shared.client.request(method, path)
    problem_of(answer, 405, "method-not-allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[", b'{"title": }', b'"x"', b"null", b"[]"])
def test_bodies_that_are_not_what_is_wanted(shared: Service, body: bytes) -> None:
    for method, path in (("PUT", "/items/a"), ("POST", "/events"), ("POST", "/admin/trainings")):
        answer = shared.client.request(method, path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 400, 422), (path, answer.text)
        if answer.status_code != 200:
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_keeps_its_harmless_id_and_gets_one_else(shared: Service) -> None:
    given = "abc-123/x.y:z=+_"
    assert shared.client.get("/health/live", headers={"X-Request-Id": given}).headers["x-request-id"] == given
    made = [
        shared.client.get("/health/live", headers={"X-Request-Id": wrong}).headers["x-request-id"]
        for wrong in ("", "a b", "x" * 129, "<script>", '{"a":1}')
    ]
    assert len(set(made)) == len(made)
    assert all(len(one) == 32 for one in made)
    assert shared.client.get("/nothing", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.fixture
def fragile(shared: Service) -> TestClient:
    """A client that gets the answer to a bug instead of the bug."""
    client = TestClient(shared.client.app, raise_server_exceptions=False, headers=dict(shared.client.headers))
    client.portal = shared.client.portal
    return client


def break_status(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(self: Any) -> None:
        raise error

    monkeypatch.setattr("app.status.service.StatusService.read", fail)


def test_a_bug_is_a_problem_that_tells_nothing_and_has_its_id(
    fragile: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_status(monkeypatch, ZeroDivisionError("secret"))
    answer = fragile.get("/admin/status", headers={"X-Request-Id": "r1"})
    body = problem_of(answer, 500, "internal-error")
    assert "secret" not in str(body)
    assert answer.headers["x-request-id"] == "r1"


@pytest.mark.parametrize(
    "error", [OperationalError("select", {}, Exception("gone")), PoolTimeout("no connection is free")]
)
def test_a_database_that_does_not_answer(
    fragile: TestClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    break_status(monkeypatch, error)
    problem_of(fragile.get("/admin/status"), 503, "dependency-unavailable")


def test_without_a_database_everything_but_life_is_503(light_settings: Settings) -> None:
    away = light_settings.model_copy(update={"database_url": "postgresql://nobody@127.0.0.1:1/nothing"})
    with TestClient(create_app(away), headers={"X-API-Key": "k"}) as client:
        assert client.get("/health/live").json() == {"status": "live"}
        for answer in (
            client.get("/health/ready"),
            client.get("/recommend/u"),
            client.put("/items/a", json={}),
            client.post("/events", json={}),
            client.get("/admin/status"),
        ):
            problem_of(answer, 503, "dependency-unavailable")


def test_ready_means_that_database_and_cache_answer(light: Service) -> None:
    assert light.client.get("/health/ready").json() == {"status": "ready"}


def small(settings: Settings) -> Settings:
    return settings.model_copy(update={"json_body_limit_bytes": 1_000})


@pytest.fixture
def limited(light_settings: Settings, fakes: dict[str, FakeEncoder]) -> Iterator[Service]:
    with running_service(small(light_settings), fakes) as service:
        yield service


def chunks(size: int) -> Callable[[], Iterator[bytes]]:
    def body() -> Iterator[bytes]:
        yield b'{"title": "'
        for _ in range(size // 100):
            yield b"x" * 100
        yield b'"}'

    return body


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/items/a"), ("POST", "/events"), ("POST", "/admin/trainings"), ("PATCH", "/items/a")]
)
def test_a_body_past_the_limit(limited: Service, is_chunked: bool, method: str, path: str) -> None:
    body = chunks(2_000)()
    content = body if is_chunked else b"".join(body)
    answer = limited.client.request(method, path, content=content, headers={"content-type": "application/json"})
    problem = problem_of(answer, 413, "payload-too-large")
    assert problem["errors"][0]["limit"] == 1_000
    assert problem["title"] == "Payload too large"
    assert answer.headers["x-request-id"]
    assert limited.client.get("/items/a").status_code == 404


def test_a_chunked_body_within_the_limit(limited: Service) -> None:
    put_item(limited, "a", "x")
    headers = {"content-type": "application/json"}
    assert limited.client.patch("/items/a", content=chunks(500)(), headers=headers).status_code == 200


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json"])
def test_a_medium_past_its_own_limit(light: Service, is_chunked: bool, kind: str) -> None:
    put_item(light, "a", "x")
    limit = light.settings.media.max_bytes("text")
    body = (b"x" * 10_000 for _ in range(limit // 10_000 + 1))
    content = body if is_chunked else b"".join(body)
    answer = light.client.post("/items/a/media/text", content=content, headers={"content-type": kind})
    assert answer.status_code in ((413,) if kind.endswith("stream") else (413, 422))
    assert light.client.get("/items/a/media/text").text == "x"
