"""The fast lane gives what the ordinary way gives, and leaves to it whatever is not plain."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from app.api.fast_lane import FastLane
from app.core.config import Settings
from app.core.types import Scope
from app.telemetry import tracing
from app.telemetry.metrics import REGISTRY
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service

OWN = {"date", "server", "content-length", "recommendation_id", "next_cursor"}
SERVE = FastLane._serve


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each request that came to the lane whether it was answered there."""
    seen: list[bool] = []

    async def serve(self: FastLane, *args: Any) -> bool:
        seen.append(await SERVE(self, *args))
        return seen[-1]

    monkeypatch.setattr(FastLane, "_serve", serve)
    return seen


@pytest.fixture
def fast(trained_settings: Settings, fakes: dict[str, FakeEncoder]) -> Iterator[Service]:
    """A trained service that remembers keys, as every service outside of tests does."""
    with running_service(trained_settings.model_copy(update={"key_cache_s": 60.0}), fakes) as running:
        assert running.client.get("/recommend/u9").status_code == 200
        yield running


@contextmanager
def closed() -> Iterator[None]:
    """While the lane takes nothing."""

    async def serve(*_: Any) -> bool:
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FastLane, "_serve", serve)
        yield


def parts(answer: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str]]:
    """What has to be equal: status, body and headers, without what is new each time."""
    body = {name: value for name, value in answer.json().items() if name not in OWN}
    return answer.status_code, body, {name: value for name, value in answer.headers.items() if name not in OWN}


@pytest.mark.parametrize(
    "path",
    [
        "/recommend/u0",
        "/v1/recommend/u1",
        "/recommend/nobody",
        "/recommend/u0?limit=3&exclude_seen=false",
        "/recommend/u2?categories=a&categories=b&why=true",
        "/recommend/u2?diversity=0.5&pinned=i7:1",
        "/recommend/u3?rotation_s=0",
    ],
)
@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_both_ways_give_the_same(fast: Service, taken: list[bool], path: str, encoding: str) -> None:
    headers = {"X-Request-Id": "mine", "Accept-Encoding": encoding}
    with closed():
        ordinary = fast.client.get(path, headers=headers)
    fast.client.get(path)
    answer = fast.client.get(path, headers=headers)
    assert taken[-1]
    assert parts(answer) == parts(ordinary)
    assert answer.headers["x-request-id"] == "mine"


def test_a_key_by_the_other_header(fast: Service, taken: list[bool]) -> None:
    key = fast.client.headers.pop("authorization").removeprefix("Bearer ")
    for _ in range(2):
        assert fast.client.get("/recommend/u0", headers={"X-API-Key": key}).status_code == 200
    assert taken[-1]


def test_a_body_goes_the_ordinary_way(fast: Service, taken: list[bool]) -> None:
    fast.client.get("/recommend/u0")
    for content, status in ((b"{}", 200), (b"x" * (fast.settings.json_body_limit_bytes + 1), 413)):
        assert fast.client.request("GET", "/recommend/u0", content=content).status_code == status
        assert not taken[-1]


def test_an_id_for_each_request(fast: Service) -> None:
    ids = {
        fast.client.get("/recommend/u0", headers={"X-Request-Id": bad}).headers["x-request-id"] for bad in ("", "a b")
    }
    assert len(ids) == 2
    assert all(len(one) == 32 for one in ids)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/recommend/a%20b", 200),
        ("/recommend/%C3%BC", 200),
        ("/recommend/..%2Fx", 404),
        (f"/recommend/{'u' * 257}", 422),
        ("/recommend/u%01", 422),
        ("/recommend/u0?limit=0", 422),
        ("/recommend/u0?nonsense=1", 422),
        ("/recommend/u0?scenario=none", 404),
        ("/recommend/u0?filter=year%20%3E", 422),
        ("/recommend/u0?cursor=none", 422),
        ("/recommend/u0/more", 404),
        ("/recommend/next/0", 422),
    ],
)
def test_trouble_is_told_by_the_ordinary_way(fast: Service, taken: list[bool], path: str, status: int) -> None:
    fast.client.get("/recommend/u0")
    answers = [fast.client.get(path) for _ in range(2)]
    with closed():
        ordinary = fast.client.get(path)
    for answer in answers:
        assert answer.status_code == ordinary.status_code == status
        if status != 200:
            assert answer.json() == ordinary.json()


def test_keys_are_checked(fast: Service, taken: list[bool]) -> None:
    client = fast.client
    wrong = {"Authorization": "Bearer crs_wrong"}
    for _ in range(2):
        assert client.get("/recommend/u0", headers=wrong).status_code == 401
        assert client.get("/recommend/u0", headers=fast.headers(Scope.INGEST)).status_code == 403
    other = fast.project_client("other")
    other.portal = client.portal
    assert [other.get("/recommend/u0").json()["personalised"] for _ in range(3)] == [False] * 3
    assert taken[-1]


def test_rates_hold(trained_settings: Settings, fakes: dict[str, FakeEncoder], taken: list[bool]) -> None:
    limited = trained_settings.model_copy(update={"key_cache_s": 60.0, "rate_per_s": 10.0, "rate_burst": 8})
    with running_service(limited, fakes) as service:
        statuses = [service.client.get("/recommend/u0").status_code for _ in range(100)]
    assert statuses[:8] == [200] * 8
    assert set(statuses) == {200, 429}
    assert True in taken, "tokens that the process holds"


def test_a_request_is_counted_once(fast: Service, taken: list[bool]) -> None:
    def count() -> float:
        labels = {"route": "/recommend/{user_id}", "method": "GET", "status": "200"}
        return REGISTRY.get_sample_value("crossan_request_seconds_count", labels) or 0.0

    fast.client.get("/recommend/u0")
    before = count()
    fast.client.get("/recommend/u0")
    assert count() == before + 1
    assert taken[-1]
    assert REGISTRY.get_sample_value("crossan_requests_open") == 0


def test_a_bug_is_counted_as_elsewhere(fast: Service, taken: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> float:
        labels = {"route": "/recommend/{user_id}", "method": "GET", "status": "500"}
        return REGISTRY.get_sample_value("crossan_request_seconds_count", labels) or 0.0

    async def fail(*_: Any, **__: Any) -> Any:
        raise IndexError("a bug")

    monkeypatch.setattr("app.recommendations.service.Recommender.recommend_to", fail)
    before = count()
    with pytest.raises(IndexError):
        fast.client.get("/recommend/u0")
    assert count() == before + 1
    assert REGISTRY.get_sample_value("crossan_requests_open") == 0
    with closed(), pytest.raises(IndexError):
        fast.client.get("/recommend/u0")
    assert count() == before + 2


def test_refusals_cost_one_token(
    trained_settings: Settings, fakes: dict[str, FakeEncoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = trained_settings.model_copy(update={"key_cache_s": 60.0, "rate_per_s": 0.01, "rate_burst": 8})
    with running_service(limited, fakes) as service:
        # All tokens at once, so that the lane has some at hand.
        monkeypatch.setattr("app.api.rate_limit.Rate.lease", 8)
        assert service.client.get("/recommend/u0?cursor=none").status_code == 422
        statuses = [service.client.get("/recommend/u0?cursor=none").status_code for _ in range(10)]
    assert statuses == [422] * 7 + [429] * 3


def test_traced_requests_go_the_ordinary_way(fast: Service, taken: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "is_on", lambda: True)
    monkeypatch.setattr("app.api.telemetry.tracing.span", lambda *_, **__: tracing._NOTHING)
    assert fast.client.get("/recommend/u0").status_code == 200
    assert taken == []


def test_without_the_cache_it_still_answers(fast: Service, taken: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fast.client.get("/recommend/u0").json()["items"]

    async def away(*_: Any, **__: Any) -> Any:
        raise RedisConnectionError("away")

    monkeypatch.setattr("app.stores.sequence_cache.RedisSequenceReader.read", away)
    assert fast.client.get("/recommend/u0").json()["items"] == expected
    assert taken[-1]


def test_what_is_sent_can_be_unpacked_by_anybody(fast: Service) -> None:
    fast.client.get("/recommend/u0")
    with fast.client.stream("GET", "/recommend/u0?limit=15", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert len(raw) == int(answer.headers["content-length"])
    assert b'"items"' in (gzip.decompress(raw) if answer.headers.get("content-encoding") == "gzip" else raw)
