import inspect

import httpx
import pytest

from crossan.client import ApiError, AsyncClient, Client, RetryPolicy, Unreachable
from tests.app.cli.fake_service import KEY, URL


def answering(*answers: httpx.Response | Exception) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    left, seen = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.MockTransport(handle), seen


def test_both_clients_can_do_the_same() -> None:
    def methods(of: type) -> dict[str, str]:
        return {
            name: str(inspect.signature(member)).replace("AsyncIterator", "Iterator")
            for name, member in vars(of).items()
            if callable(member) and not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)


def test_it_tries_again_and_gives_up() -> None:
    pauses: list[float] = []
    transport, seen = answering(httpx.Response(503), httpx.ReadError("cut"), httpx.Response(200, json={"items": []}))
    with Client(URL, KEY, transport=transport, sleep=pauses.append) as client:
        assert client.recommend("u", limit=2)["items"] == []
    assert [request.headers["Authorization"] for request in seen] == [f"Bearer {KEY}"] * 3
    assert len(pauses) == 2

    transport, _ = answering(httpx.ConnectError("refused"), httpx.ConnectError("refused"))
    retries = RetryPolicy(attempts=2)
    with (
        Client(URL, KEY, transport=transport, retries=retries, sleep=pauses.append) as client,
        pytest.raises(Unreachable, match="refused"),
    ):
        client.models()


def test_a_refusal_carries_its_problem() -> None:
    transport, _ = answering(httpx.Response(404, json={"title": "Item not found", "detail": "There is no item 'x'."}))
    with Client(URL, KEY, transport=transport) as client, pytest.raises(ApiError, match="404 Item not found") as caught:
        client.get_item("x")
    assert caught.value.status == 404


def test_pages_are_followed() -> None:
    transport, seen = answering(
        httpx.Response(200, json={"items": [{"item_id": "a"}], "next_cursor": "c"}),
        httpx.Response(200, json={"items": [{"item_id": "b"}], "next_cursor": None}),
    )
    with Client(URL, KEY, transport=transport) as client:
        assert [item["item_id"] for item in client.items(limit=1)] == ["a", "b"]
    assert [request.url.params.get("cursor") for request in seen] == [None, "c"]


def test_a_training_is_waited_for() -> None:
    transport, _ = answering(*(httpx.Response(200, json={"state": s}) for s in ("queued", "running", "succeeded")))
    pauses: list[float] = []
    with Client(URL, KEY, transport=transport, sleep=pauses.append) as client:
        assert client.wait_for_training("t", poll_s=7)["state"] == "succeeded"
    assert pauses == [7, 7]


def test_a_batch_gives_back_its_results() -> None:
    results = [{"status": 200, "recommendation": {"items": []}}, {"status": 422, "problem": {"title": "Invalid"}}]
    transport, seen = answering(httpx.Response(200, json={"results": results}))
    with Client(URL, KEY, transport=transport) as client:
        assert client.recommend_many([{"user_id": "a"}, {"session": []}]) == results
    assert seen[0].url.path == "/v1/recommend"
