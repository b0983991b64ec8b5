from collections.abc import Callable

import httpx
import pytest

from app.cli.client import ApiError, Client, Unreachable
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


Make = Callable[..., Client]


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_the_key_goes_with_every_request() -> None:
    transport, seen = answering(httpx.Response(200, json={}))
    async with Client(URL, "crs_1", transport=transport) as client:
        assert await client.get("/items", limit=5, cursor=None) == {}
    assert seen[0].headers["Authorization"] == "Bearer crs_1"
    assert str(seen[0].url) == f"{URL}/items?limit=5"


async def test_an_empty_body_is_none() -> None:
    transport, _ = answering(httpx.Response(204))
    async with Client(URL, KEY, transport=transport) as client:
        assert await client.request("DELETE", "/items/1") is None


async def test_overload_and_outages_are_tried_again_with_growing_pauses(clock: Clock) -> None:
    ok = httpx.Response(200, json={"ok": True})
    transport, seen = answering(httpx.Response(503), httpx.ReadError("cut"), httpx.Response(500), ok)
    async with Client(URL, KEY, attempts=4, transport=transport, sleep=clock.sleep) as client:
        assert await client.get("/items") == {"ok": True}
    assert len(seen) == 4
    # The longest pause doubles from 0.25 s, and jitter takes at most half of it.
    for pause, longest in zip(clock.pauses, (0.25, 0.5, 1.0), strict=True):
        assert longest / 2 <= pause <= longest


async def test_retry_after_is_honoured(clock: Clock) -> None:
    transport, _ = answering(httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(200, json={}))
    async with Client(URL, KEY, attempts=2, transport=transport, sleep=clock.sleep) as client:
        await client.get("/items")
    assert clock.pauses == [7.0]


async def test_a_refusal_is_not_tried_again(clock: Clock) -> None:
    transport, seen = answering(httpx.Response(422, json={"title": "Invalid request"}))
    async with Client(URL, KEY, attempts=5, transport=transport, sleep=clock.sleep) as client:
        with pytest.raises(ApiError, match="422 Invalid request"):
            await client.get("/items")
    assert len(seen) == 1


async def test_what_must_not_happen_twice_is_sent_once(clock: Clock) -> None:
    transport, seen = answering(httpx.ConnectError("refused"))
    async with Client(URL, KEY, attempts=5, transport=transport, sleep=clock.sleep) as client:
        with pytest.raises(Unreachable, match=r"crossan up"):
            await client.request("POST", "/admin/trainings", json={}, retry=False)
    assert len(seen) == 1


async def test_the_last_answer_counts_when_nothing_helps(clock: Clock) -> None:
    transport, _ = answering(httpx.Response(503), httpx.Response(503, text="<html>busy</html>"))
    async with Client(URL, KEY, attempts=2, transport=transport, sleep=clock.sleep) as client:
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
    async with Client(URL, KEY, transport=service.transport()) as client:
        seen = [item["item_id"] async for item in client.pages("/items", "items", limit=2)]
    assert seen == ["0", "1", "2", "3", "4"]
    # 2 + 2 + 1
    assert service.calls["GET /items"] == 3
