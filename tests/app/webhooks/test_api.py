"""The routes: what is shown once, what is refused, and that other projects see nothing."""

from typing import Any
from uuid import uuid4

import pytest

from app.core.types import Scope
from tests.fixtures.service import Service
from tests.fixtures.trained import client_of

ORDER: dict[str, Any] = {"url": "https://shop.example/hook", "events": ["training.succeeded"]}


def test_the_secret_is_shown_once(light: Service) -> None:
    created = light.client.post("/admin/webhooks", json=ORDER)
    assert created.status_code == 201
    assert created.headers["cache-control"] == "no-store"
    webhook = created.json()
    assert webhook["secret"].startswith("whsec_")
    path = f"/admin/webhooks/{webhook['id']}"
    for answer in (light.client.get(path), light.client.get("/admin/webhooks"), light.client.patch(path, json={})):
        assert answer.status_code == 200
        assert "secret" not in answer.text


def test_life_of_a_webhook(light: Service) -> None:
    first, second = (light.client.post("/admin/webhooks", json=ORDER).json() for _ in range(2))
    listed = light.client.get("/admin/webhooks").json()["webhooks"]
    assert [webhook["id"] for webhook in listed] == [first["id"], second["id"]]
    path = f"/admin/webhooks/{first['id']}"
    change = {"paused": True, "events": ["model.promoted", "user.erased"], "url": "http://shop.example:8080/x"}
    patched = light.client.patch(path, json=change).json()
    assert {name: patched[name] for name in change} == change
    assert light.client.get(path).json()["deliveries"] == []
    assert light.client.delete(path).status_code == 204
    assert light.client.delete(path).status_code == light.client.get(path).status_code == 404
    assert len(light.client.get("/admin/webhooks").json()["webhooks"]) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ftp://shop.example/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://me:secret@shop.example/"}, "url"),
        ({"url": "x" * 2_001}, "url"),
        ({"events": []}, "events"),
        ({"events": ["world.ended"]}, "events.0"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_wrong_order_names_its_field(light: Service, change: dict[str, Any], field: str) -> None:
    answer = light.client.post("/admin/webhooks", json={**ORDER, **change})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert "secret@" not in answer.text


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://10.1.2.3:8080/x"])
def test_private_addresses_are_refused(shared: Service, url: str) -> None:
    answer = shared.client.post("/admin/webhooks", json={**ORDER, "url": url})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "url", "message": "leads to a private address"}]


def test_there_are_only_so_many(light: Service) -> None:
    for _ in range(50):
        assert light.client.post("/admin/webhooks", json=ORDER).status_code == 201
    answer = light.client.post("/admin/webhooks", json=ORDER)
    assert (answer.status_code, answer.json()["errors"][0]["limit"]) == (422, 50)


def test_other_projects_and_other_scopes(light: Service) -> None:
    webhook = light.client.post("/admin/webhooks", json=ORDER).json()
    stranger = client_of(light, "other")
    path = f"/admin/webhooks/{webhook['id']}"
    assert stranger.get("/admin/webhooks").json() == {"webhooks": []}
    answers = [
        stranger.get(path),
        stranger.patch(path, json={"paused": True}),
        stranger.post(f"{path}/test"),
        stranger.delete(path),
        light.client.get(f"/admin/webhooks/{uuid4()}"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert answers[0].json()["type"].endswith("webhook-not-found")
    headers = light.headers(Scope.INGEST, Scope.RECOMMEND)
    assert light.client.get("/admin/webhooks", headers=headers).status_code == 403
    assert light.client.get(path).json()["paused"] is False
