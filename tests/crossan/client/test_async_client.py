import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from crossan.client import ApiError, AsyncClient, Call, RetryPolicy, Unreachable
from tests.app.cli.fake_service import KEY, URL, FakeService


class Clock:
    """Notes every pause instead of waiting."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def answering(*answers: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    left, seen = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.MockTransport(handle), seen


Make = Callable[..., AsyncClient]


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_the_key_goes_with_every_request() -> None:
    transport, seen = answering(httpx.Response(200, json={}))
    async with AsyncClient(URL, "crs_1", transport=transport) as client:
        assert await client.get("/items", limit=5, cursor=None) == {}
    assert seen[0].headers["Authorization"] == "Bearer crs_1"
    assert str(seen[0].url) == f"{URL}/items?limit=5"


async def test_an_empty_body_is_none() -> None:
    transport, _ = answering(httpx.Response(204))
    async with AsyncClient(URL, KEY, transport=transport) as client:
        assert await client.delete_item("1") is None


async def test_overload_and_outages_are_tried_again_with_growing_pauses(clock: Clock) -> None:
    ok = httpx.Response(200, json={"ok": True})
    transport, seen = answering(httpx.Response(503), httpx.ReadError("cut"), httpx.Response(500), ok)
    async with AsyncClient(URL, KEY, retries=RetryPolicy(attempts=4), transport=transport, sleep=clock.sleep) as client:
        assert await client.get("/items") == {"ok": True}
    assert len(seen) == 4
    # The longest pause doubles from 0.25 s, and jitter takes at most half of it.
    for pause, longest in zip(clock.pauses, (0.25, 0.5, 1.0), strict=True):
        assert longest / 2 <= pause <= longest


async def test_retry_after_is_honoured(clock: Clock) -> None:
    transport, _ = answering(httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(200, json={}))
    async with AsyncClient(URL, KEY, retries=RetryPolicy(attempts=2), transport=transport, sleep=clock.sleep) as client:
        await client.get("/items")
    assert clock.pauses == [7.0]


async def test_a_refusal_is_not_tried_again(clock: Clock) -> None:
    transport, seen = answering(httpx.Response(422, json={"title": "Invalid request"}))
    async with AsyncClient(URL, KEY, retries=RetryPolicy(attempts=5), transport=transport, sleep=clock.sleep) as client:
        with pytest.raises(ApiError, match="422 Invalid request"):
            await client.get("/items")
    assert len(seen) == 1


async def test_what_must_not_happen_twice_is_sent_once(clock: Clock) -> None:
    transport, seen = answering(httpx.ConnectError("refused"))
    async with AsyncClient(URL, KEY, retries=RetryPolicy(attempts=5), transport=transport, sleep=clock.sleep) as client:
        with pytest.raises(Unreachable, match=r"crossan up"):
            await client.send(Call[Any]("POST", "/admin/keys", json={}))
    assert len(seen) == 1


async def test_a_post_with_a_key_of_its_own_is_tried_again_with_the_same_key(clock: Clock) -> None:
    transport, seen = answering(httpx.ReadError("cut"), httpx.Response(202, json={"id": "t"}))
    async with AsyncClient(URL, KEY, transport=transport, sleep=clock.sleep) as client:
        assert (await client.train(method="crossan"))["id"] == "t"
    first, second = (request.headers["Idempotency-Key"] for request in seen)
    assert first == second
    assert json.loads(seen[1].content) == {"method": "crossan"}


async def test_ids_and_flags_are_written_into_addresses() -> None:
    transport, seen = answering(httpx.Response(200, json={}))
    async with AsyncClient(URL, KEY, transport=transport) as client:
        await client.recommend("ä/b c", limit=3, exclude_seen=False, categories=["sea", "sky"], pinned={"i": 2})
    assert str(seen[0].url) == (
        f"{URL}/v1/recommend/%C3%A4%2Fb%20c?limit=3&exclude_seen=false&categories=sea&categories=sky&pinned=i%3A2"
    )


async def test_the_last_answer_counts_when_nothing_helps(clock: Clock) -> None:
    transport, _ = answering(httpx.Response(503), httpx.Response(503, text="<html>busy</html>"))
    async with AsyncClient(URL, KEY, retries=RetryPolicy(attempts=2), transport=transport, sleep=clock.sleep) as client:
        with pytest.raises(ApiError, match="503 Service Unavailable: <html>busy</html>") as caught:
            await client.get("/items")
    assert caught.value.describe()["status"] == 503


def test_a_problem_is_shown_with_its_fields() -> None:
    errors = [{"field": "image", "message": "too large", "limit": 5}, {"field": "audio", "message": "too long"}]
    error = ApiError(413, {"title": "Payload too large", "detail": "image: too large", "errors": errors})
    # What the detail says already is not said again.
    assert str(error) == "413 Payload too large: image: too large\n  audio: too long"
    assert error.describe()["errors"] == errors


async def test_pages_are_followed_to_the_end() -> None:
    service = FakeService()
    service.items = {str(n): {"item_id": str(n)} for n in range(5)}
    async with AsyncClient(URL, KEY, transport=service.transport()) as client:
        seen = [item["item_id"] async for item in client.pages("/items", "items", limit=2)]
    assert seen == ["0", "1", "2", "3", "4"]
    # 2 + 2 + 1
    assert service.calls["GET /items"] == 3
