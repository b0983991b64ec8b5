"""Rates of keys: a bucket in Redis, from which a process takes tokens ahead."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.api.rate_limit import Rate, RateLimiter
from app.core.config import Settings
from app.core.http_errors import RateLimited
from app.core.types import ProjectId, Scope
from app.projects.service import Principal
from tests.app.api.test_problems import problem_of
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service

SLOW = 0.001
"""Requests a second: nothing comes back during a test."""


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


def principal(rate_per_s: float | None = SLOW, burst: int | None = 5, key_id: int = 1) -> Principal:
    return Principal(ProjectId(1), key_id, frozenset(Scope), rate_per_s, burst)


async def admitted(limiter: RateLimiter, who: Principal, requests: int) -> int:
    passed = 0
    for _ in range(requests):
        try:
            await limiter.admit(who)
            passed += 1
        except RateLimited:
            continue
    return passed


async def test_a_burst_passes_and_no_more(redis: Redis) -> None:
    assert await admitted(RateLimiter(redis, default=None), principal(burst=5), 20) == 5


async def test_keys_have_buckets_of_their_own(redis: Redis) -> None:
    limiter = RateLimiter(redis, default=None)
    assert await admitted(limiter, principal(key_id=1), 10) == 5
    assert await admitted(limiter, principal(key_id=2), 10) == 5


async def test_processes_share_a_bucket(redis: Redis) -> None:
    one, other = RateLimiter(redis, default=None), RateLimiter(redis, default=None)
    passed = [await admitted(limiter, principal(burst=8), 1) for limiter in (one, other) * 10]
    # A lease at this rate is one token, so that nothing is lost and nothing is left over.
    assert sum(passed) == 8


async def test_tokens_come_back_at_the_rate(redis: Redis) -> None:
    limiter = RateLimiter(redis, default=None)
    who = principal(rate_per_s=50.0, burst=1)
    assert await admitted(limiter, who, 3) == 1
    # One token takes 20 ms.
    await asyncio.sleep(0.1)
    assert await admitted(limiter, who, 1) == 1


async def test_most_requests_cost_no_round_trip(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = RateLimiter(redis, default=None)
    rate = Rate.of(1_000.0, 2_000)
    assert rate.lease == 200, "a fifth of a second"
    asked = []
    take = limiter._take

    async def counted(**call: object) -> object:
        asked.append(1)
        return await take(**call)  # type: ignore[arg-type]

    monkeypatch.setattr(limiter, "_take", counted)
    assert await admitted(limiter, principal(rate_per_s=1_000.0, burst=2_000), 400) == 400
    assert len(asked) <= 4


async def test_without_redis_everything_passes(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = RateLimiter(redis, default=Rate.of(SLOW, 1))

    async def away(**_: object) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(limiter, "_take", away)
    assert await admitted(limiter, principal(None, None), 50) == 50


async def test_a_key_without_a_rate_has_that_of_the_settings(redis: Redis) -> None:
    assert await admitted(RateLimiter(redis, default=None), principal(None, None), 50) == 50
    assert await admitted(RateLimiter(redis, default=Rate.of(SLOW, 3)), principal(None, None), 50) == 3


def test_bursts_unless_given() -> None:
    assert Rate.of(10.0, None).burst == 20
    assert Rate.of(0.1, None).burst == 1


@pytest.fixture
def limited(light_settings: Settings, fakes: dict[str, FakeEncoder]) -> Iterator[Service]:
    settings = light_settings.model_copy(update={"rate_per_s": SLOW, "rate_burst": 3})
    with running_service(settings, fakes) as service:
        yield service


def test_the_answer_says_when_to_come_back(limited: Service) -> None:
    for _ in range(3):
        assert limited.client.get("/items").status_code == 200
    answer = limited.client.get("/items")
    body = problem_of(answer, 429, "rate-limited")
    assert int(answer.headers["retry-after"]) == body["retry_after_s"] > 0
    assert answer.headers["ratelimit-policy"] == '"key";q=3;w=3000'
    assert answer.headers["ratelimit"].startswith('"key";r=0;t=')
    assert limited.client.get("/health/live").status_code == 200, "only keys have a rate"


def test_a_rate_is_set_with_the_key_and_changed(light: Service) -> None:
    new = {"name": "n", "scopes": ["ingest"], "rate_per_s": SLOW, "burst": 1}
    made = light.client.post("/admin/keys", json=new).json()
    assert (made["rate_per_s"], made["burst"]) == (SLOW, 1)
    headers = {"Authorization": f"Bearer {made['key']}"}
    assert [light.client.get("/items", headers=headers).status_code for _ in range(2)] == [200, 429]
    changed = light.client.patch(f"/admin/keys/{made['id']}", json={"name": "m", "rate_per_s": None, "burst": None})
    assert (changed.json()["name"], changed.json()["rate_per_s"]) == ("m", None)
    assert light.client.get("/items", headers=headers).status_code == 200
    problem_of(light.client.patch("/admin/keys/999", json={"burst": 3}), 404, "key-not-found")
    problem_of(light.client.patch(f"/admin/keys/{made['id']}", json={"name": None}), 422, "invalid-request")
    problem_of(light.client.patch(f"/admin/keys/{made['id']}", json={"burst": 0}), 422, "invalid-request")
