"""What happens when things break: workers and API killed, caches flushed; nothing accepted is lost or done twice."""

import threading
import time
import uuid
from typing import Any

import httpx
import pytest
from redis import Redis

from tests.fixtures import media
from tests.fixtures.stack import Stack, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ITEMS = 60
USERS = 40
SLOW = {"epochs": 60, "patience": 60}


def upload(stack: Stack, number: int) -> None:
    item = f'{{"item_id": "i{number}", "title": "{"boat" if number % 2 else "night"} {number}"}}'
    answer = stack.client.post("/items", data={"item": item}, files={"image": media.png(number)})
    assert answer.status_code in (200, 201), answer.text


def count_in_state(stack: Stack, *states: str) -> int:
    counts = stack.client.get("/admin/status").json()["items"]
    return sum(counts[state] for state in states)


def post_events(stack: Stack) -> None:
    events = [
        {"user_id": f"u{user}", "item_id": f"i{2 * step + user % 2}", "timestamp": 1_700_000_000 + step}
        for user in range(USERS)
        for step in range(12)
    ]
    assert stack.client.post("/events", json=events).json()["rejected"] == 0


def test_worker_killed_while_encoding(stack: Stack) -> None:
    for number in range(ITEMS):
        upload(stack, number)
    wait_for(lambda: count_in_state(stack, "encoded"), what="a first encoded item")
    stack.kill("encode@%h")
    wait_for(lambda: count_in_state(stack, "encoded") == ITEMS, what="everything encoded", seconds=90)
    rows = stack.query("SELECT content_hash, fingerprint, state, shard, shard_row FROM hidden_states")
    assert len({(row["content_hash"], row["fingerprint"]) for row in rows}) == len(rows) == 2 * ITEMS
    assert len({(row["shard"], row["shard_row"]) for row in rows}) == len(rows)
    assert {row["state"] for row in rows} == {"encoded"}


def test_worker_killed_while_training(stack: Stack) -> None:
    post_events(stack)
    training = stack.client.post("/admin/trainings", json={"hyperparameters": SLOW}).json()

    def state() -> dict[str, Any]:
        read: dict[str, Any] = stack.client.get(f"/admin/trainings/{training['id']}").json()
        return read

    wait_for(lambda: (state()["progress"] or {}).get("epoch"), what="a first epoch")
    data_cut = state()["data_cut"]
    stack.kill("train@%h")
    # A service in use does not stand still: what arrives meanwhile is for the next training.
    late = stack.client.post("/events", json={"user_id": "u5", "item_id": "i1"})
    assert late.json()["accepted"] == 1
    wait_for(lambda: (state()["progress"] or {}).get("resumed_from"), what="the next attempt to go on from there")
    done = wait_for(lambda: state() if state()["finished_at"] else None, what="the training's end", seconds=240)
    assert done["state"] == "succeeded", done["error"]
    assert done["attempts"] == 2
    assert done["data_cut"] == data_cut
    assert [model["version"] for model in stack.client.get("/admin/models").json()["models"]] == ["v1"]
    answer = wait_for(
        lambda: (read := stack.client.get("/recommend/u1").json())["personalised"] and read, what="a personal answer"
    )
    assert answer["model_version"] == "v1"


def test_api_killed_under_load(stack: Stack) -> None:
    accepted: list[str] = []
    stop = threading.Event()

    def write(user: int) -> None:
        with httpx.Client(base_url=stack.client.base_url, headers=stack.client.headers) as client:
            while not stop.is_set() and len(accepted) < 3_000:
                batch = [str(uuid.uuid4()) for _ in range(5)]
                events = [{"user_id": f"load{user}", "item_id": "i1", "event_id": one} for one in batch]
                try:
                    if client.post("/events", json=events).status_code == 200:
                        accepted.extend(batch)
                except httpx.TransportError:
                    time.sleep(0.05)

    writers = [threading.Thread(target=write, args=(user,)) for user in range(4)]
    for writer in writers:
        writer.start()
    wait_for(lambda: len(accepted) > 100, what="load")
    stack.kill("app.cli.serve")
    before = len(accepted)
    wait_for(lambda: len(accepted) > before + 100, what="the API again")
    stop.set()
    for writer in writers:
        writer.join()
    stored = [row["event_id"] for row in stack.query("SELECT event_id FROM events WHERE user_id LIKE 'load%%'")]
    assert set(accepted) <= set(stored)
    assert len(stored) == len(set(stored))


def test_flushed_cache(stack: Stack) -> None:
    def items() -> list[str]:
        return [one["item_id"] for one in stack.client.get("/recommend/u2?limit=20").json()["items"]]

    before = items()
    with Redis.from_url(stack.redis_url) as redis:
        redis.flushall()
    assert items() == before
    # The broker's messages and bindings are gone too: new work still finds its way.
    upload(stack, ITEMS)
    wait_for(lambda: stack.client.get(f"/items/i{ITEMS}").json()["recommendable"], what="the new item")
    with Redis.from_url(stack.redis_url) as redis:
        redis.flushall()
    stack.client.post("/events", json={"user_id": "u2", "item_id": before[0]})
    assert before[0] not in items()


def test_new_item_in_seconds(stack: Stack) -> None:
    started = time.monotonic()
    upload(stack, ITEMS + 1)
    wait_for(
        lambda: (
            f"i{ITEMS + 1}" in [one["item_id"] for one in stack.client.get("/recommend/u3?limit=1000").json()["items"]]
        ),
        what="the new item in an answer",
    )
    print(f"upload to recommendation: {time.monotonic() - started:.1f} s")  # noqa: T201  (shown with -rP)


def test_training_is_cancelled_within_seconds(stack: Stack) -> None:
    training = stack.client.post("/admin/trainings", json={"hyperparameters": SLOW}).json()
    path = f"/admin/trainings/{training['id']}"
    wait_for(lambda: (stack.client.get(path).json()["progress"] or {}).get("epoch"), what="a first epoch")
    assert stack.client.delete(path).status_code == 202
    wait_for(lambda: stack.client.get(path).json()["state"] == "cancelled", what="the end", seconds=10)
