"""The whole way in one process: upload, encode, events, train, export, promote, recommend; then a new item."""

from typing import Any

import numpy as np

from tests.fixtures import media
from tests.fixtures.service import Service

ITEMS = 24
USERS = 30
FAST = {"epochs": 3}


def fill(service: Service) -> None:
    """Items of two kinds, and users who stay with one kind."""
    for number in range(ITEMS):
        fields = {"title": f"{'harbour boat' if number % 2 else 'techno night'} {number}"}
        files = (
            {"image": media.png(number)}
            if number % 3
            else {"image": media.png(number), "audio": media.wav(300.0 + number)}
        )
        response = service.client.post(
            "/items", data={"item": f'{{"item_id": "i{number}", "title": "{fields["title"]}"}}'}, files=files
        )
        assert response.status_code == 201, response.text
    rng = np.random.default_rng(0)
    events: list[dict[str, Any]] = []
    for user in range(USERS):
        liked = [number for number in range(ITEMS) if number % 2 == user % 2]
        for step, number in enumerate(rng.permutation(liked)[:8]):
            events.append({"user_id": f"u{user}", "item_id": f"i{number}", "timestamp": 1_700_000_000 + step})
    assert service.client.post("/events", json=events).json()["accepted"] == len(events)


def test_upload_to_recommendation(service: Service) -> None:
    fill(service)
    service.run_jobs()
    item = service.client.get("/items/i0").json()
    assert item["state"] == "encoded"
    assert set(item["media"]) == {"text", "image", "audio"}
    assert not item["recommendable"]

    training = service.train(hyperparameters=FAST)
    assert training["state"] == "succeeded", training["error"]
    assert training["result"]["promoted"]
    assert training["data_cut"]["events"] == USERS * 8

    answer = service.client.get("/recommend/u0?limit=5").json()
    assert answer["personalised"]
    assert answer["model_version"] == "v1"
    assert [one["rank"] for one in answer["items"]] == [1, 2, 3, 4, 5]
    scores = [one["score"] for one in answer["items"]]
    assert scores == sorted(scores, reverse=True)
    for one in answer["items"]:
        assert abs(sum(one["shares"].values()) - 1) < 1e-5
        assert set(one["shares"]) == {"text", "image", "audio"}
    assert service.client.get("/items/i0").json()["state"] == "ready"


def test_new_item_without_retraining(service: Service) -> None:
    fill(service)
    service.run_jobs()
    service.train(hyperparameters=FAST)
    service.client.post(
        "/items", data={"item": '{"item_id": "new", "title": "harbour boat"}'}, files={"image": media.png(7)}
    )
    service.run_jobs()
    assert service.client.get("/items/new").json()["recommendable"]
    answer = service.client.get("/recommend/u1?limit=1000").json()
    assert "new" in [one["item_id"] for one in answer["items"]]
