"""The blocking client against the real API, in this process: what it sends is what the service takes."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crossan.client import ApiError, Client, EventWriter
from tests.fixtures import media
from tests.fixtures.service import Service
from tests.fixtures.trained import ITEMS


@pytest.fixture
def client(trained: Service) -> Iterator[Client]:
    def answer(request: httpx.Request) -> httpx.Response:
        """The test's own client speaks to the API in this process; only it knows how."""
        found = trained.client.request(
            request.method, str(request.url), content=request.content, headers=dict(request.headers)
        )
        headers = {name: value for name, value in found.headers.items() if name != "content-encoding"}
        return httpx.Response(found.status_code, headers=headers, content=found.content)

    with Client("http://testserver", trained.key, transport=httpx.MockTransport(answer)) as client:
        yield client


def test_recommendations(client: Client) -> None:
    answer = client.recommend("u0", limit=3, why=True, pinned={"i2": 2}, exclude_seen=False, diversity=0.2)
    assert len(answer["items"]) == 3
    assert answer["items"][1]["item_id"] == "i2"
    assert answer["items"][0]["why"]
    again = client.next_page(answer["recommendation_id"], limit=2)
    assert [item["rank"] for item in again["items"]] == [4, 5]
    session = client.recommend_session(["i1", {"item_id": "i3", "type": "like"}], limit=2)
    assert (session["user_id"], session["personalised"], len(session["items"])) == (None, True, 2)
    answers = client.recommend_many([{"user_id": "u0", "limit": 1}, {"user_id": "u1", "filter": "("}])
    assert [one["status"] for one in answers] == [200, 422]


def test_lists_and_neighbours(client: Client) -> None:
    assert len(client.similar("i1", limit=4)["items"]) == 4
    client.send_events([{"user_id": "u0", "item_id": "i7"}, {"user_id": "u1", "item_id": "i7"}])
    assert [item["item_id"] for item in client.popular(limit=1)["items"]] == ["i7"]
    assert [item["item_id"] for item in client.trending(limit=1)["items"]] == ["i7"]
    assert len(client.latest(limit=ITEMS)["items"]) == ITEMS


def test_items(client: Client, tmp_path: Path) -> None:
    assert client.put_item("new", {"title": "Harbour"})["title"] == "Harbour"
    assert client.patch_item("new", {"available": False})["available"] is False
    (tmp_path / "poster.png").write_bytes(media.png(9))
    assert "image" in client.put_media("new", "image", tmp_path / "poster.png")["media"]
    assert client.put_text("new", "A boat.")["media"]["text"]["source"] == "upload"
    assert client.post_item({"item_id": "other", "title": "Sea"}, {"image": media.png(8)})["item_id"] == "other"
    report = client.put_items([{"item_id": "third", "title": "Sky"}, {"title": "nameless"}])
    assert [line["status"] for line in report["results"]] == ["created", "rejected"]
    assert len(list(client.items(limit=7))) == ITEMS + 3
    client.delete_item("new")
    with pytest.raises(ApiError, match="404 Item not found"):
        client.get_item("new")


def test_users_and_events(client: Client, tmp_path: Path) -> None:
    with EventWriter(client, journal=tmp_path) as events:
        answer = client.recommend("ada", limit=1)
        shown = answer["items"][0]["item_id"]
        events.write({"user_id": "ada", "item_id": shown, "recommendation_id": answer["recommendation_id"]})
        events.write({"user_id": "visitor", "item_id": "i5", "type": "like"})
    assert client.put_user("ada", {"age": 36})["attributes"] == {"age": 36}
    assert client.get_user("ada")["last_event_at"]
    client.merge_user("ada", "visitor")
    assert {event["item_id"] for event in client.history("ada")} == {shown, "i5"}
    assert {event["item_id"] for event in client.export_user("ada")["events"]} == {shown, "i5"}
    assert client.delete_user("ada")["removed"]["events"] == 2


def test_versions(client: Client) -> None:
    (model,) = client.models()
    assert (model["version"], model["live"]) == ("v1", True)
    assert client.promote("v1")["live"]
    training = client.train(method="crossan")
    assert client.get_training(training["id"])["state"] == "queued"
