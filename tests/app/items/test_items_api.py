import json
from typing import Any

import pytest

from app.items.schemas import ItemRead
from app.stores.blobs import FsspecBlobStore
from tests.fixtures import media
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item


def get(service: Service, item_id: str) -> dict[str, Any]:
    answer = service.client.get(f"/items/{item_id}")
    assert answer.status_code == 200, answer.text
    item: dict[str, Any] = answer.json()
    return item


def post_item(service: Service, fields: dict[str, Any], **files: bytes) -> Any:
    return service.client.post("/items", data={"item": json.dumps(fields)}, files=files or {"": b""})


def upload(service: Service, item_id: str, modality: str, data: bytes, status: int = 202) -> dict[str, Any]:
    answer = service.client.post(f"/items/{item_id}/media/{modality}", content=data)
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body


FIELDS = {
    "title": "Harbour",
    "description": "Boats.\nAt dawn.",
    "categories": ["sea", "film"],
    "attributes": {"year": 2024, "nested": {"a": [1, 2.5, None, True, "é"]}},
    "available": False,
    "published_at": "2024-05-01T10:00:00Z",
}


def test_put_creates_then_replaces_everything(light: Service) -> None:
    first = light.client.put("/items/a", json=FIELDS)
    assert first.status_code == 201
    created = first.json()
    assert {name: created[name] for name in FIELDS} == FIELDS
    assert ItemRead.model_validate(created).model_dump(mode="json") == created
    second = light.client.put("/items/a", json={"title": "Port"})
    assert second.status_code == 200
    replaced = second.json()
    assert (replaced["title"], replaced["description"], replaced["categories"]) == ("Port", "", [])
    assert (replaced["attributes"], replaced["available"], replaced["published_at"]) == ({}, True, None)
    assert replaced["created_at"] == created["created_at"]
    assert replaced["updated_at"] > created["updated_at"]
    assert replaced == get(light, "a")


def test_patch_changes_only_what_it_names(light: Service) -> None:
    light.client.put("/items/a", json=FIELDS)
    before = get(light, "a")
    patched = light.client.patch("/items/a", json={"title": "Port", "categories": None})
    assert patched.status_code == 200
    after = patched.json()
    assert after["updated_at"] > before["updated_at"]
    assert (after["title"], after["categories"]) == ("Port", [])
    for name in ("description", "attributes", "available", "published_at", "created_at"):
        assert after[name] == before[name]
    assert light.client.patch("/items/nobody", json={"title": "x"}).json()["type"].endswith("item-not-found")


def test_an_upload_is_a_change_of_the_item(light: Service) -> None:
    before = put_item(light, "a", "x")
    assert upload(light, "a", "image", media.png(1))["updated_at"] > before["updated_at"]


def test_delete_and_revive(light: Service) -> None:
    put_item(light, "a", "x")
    upload(light, "a", "image", media.png(1))
    light.run_jobs()
    assert light.client.delete("/items/a").status_code == 204
    for answer in (
        light.client.get("/items/a"),
        light.client.delete("/items/a"),
        light.client.patch("/items/a", json={}),
        light.client.post("/items/a/media/image", content=media.png(1)),
        light.client.get("/items/a/media/image"),
    ):
        assert answer.status_code == 404
    assert light.client.get("/items").json()["items"] == []
    revived = light.client.put("/items/a", json={"title": "y"})
    assert revived.status_code == 201
    assert set(revived.json()["media"]) == {"text"}
    assert revived.json()["state"] == "pending"
    light.run_jobs()
    assert get(light, "a")["state"] == "encoded"


def test_the_list_is_stable_while_items_come_and_go(light: Service) -> None:
    for number in range(7):
        put_item(light, f"i{number}", "x")
    seen: list[str] = []
    cursor: str | None = None
    for page in range(10):
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        body = light.client.get("/items", params=query).json()
        assert len(body["items"]) <= 3
        seen += [item["item_id"] for item in body["items"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
        put_item(light, f"new{page}", "x")
        put_item(light, "i0", "changed")
        light.client.delete("/items/i2")
    assert seen[:7] == [f"i{number}" for number in range(7)]
    assert len(seen) == len(set(seen))


def test_the_last_page_has_no_cursor(light: Service) -> None:
    for number in range(4):
        put_item(light, f"i{number}", "x")
    page = light.client.get("/items?limit=2").json()
    last = light.client.get("/items", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [item["item_id"] for item in last["items"]] == ["i2", "i3"]
    assert last["next_cursor"] is None


def test_the_list_by_state(light: Service) -> None:
    put_item(light, "done", "x")
    light.run_jobs()
    put_item(light, "waits", "y")
    for state, expected in (("pending", ["waits"]), ("encoded", ["done"]), ("failed", [])):
        body = light.client.get("/items", params={"state": state}).json()
        assert [item["item_id"] for item in body["items"]] == expected


def text_of(service: Service, item_id: str) -> str:
    return service.client.get(f"/items/{item_id}/media/text").text


def test_the_metadata_are_the_text_until_one_is_uploaded(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    item = put_item(light, "a", "Harbour", description="Boats.", categories=["sea", "film"])
    assert item["media"]["text"]["source"] == "metadata"
    assert text_of(light, "a") == "Harbour\nsea, film\nBoats."
    answer = light.client.post("/items/a/media/text", json={"text": "My own words."})
    assert answer.status_code == 202
    assert answer.json()["media"]["text"]["source"] == "upload"
    put_item(light, "a", "Another title")
    assert text_of(light, "a") == "My own words."
    light.run_jobs()
    assert fakes["text"].encoded == [b"My own words."]


def test_fields_that_are_no_text_do_not_encode_anew(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    put_item(light, "a", "Harbour")
    light.run_jobs()
    light.client.patch("/items/a", json={"available": False, "attributes": {"a": 1}, "published_at": None})
    assert get(light, "a")["state"] == "encoded"
    assert light.run_jobs() == []
    light.client.patch("/items/a", json={"title": "Port"})
    assert get(light, "a")["state"] == "pending"
    light.run_jobs()
    assert fakes["text"].encoded == [b"Harbour", b"Port"]


def test_when_the_text_goes_the_other_media_remain(light: Service) -> None:
    put_item(light, "a", "Harbour")
    upload(light, "a", "image", media.png(1))
    light.run_jobs()
    light.client.patch("/items/a", json={"title": ""})
    light.run_jobs()
    item = get(light, "a")
    assert set(item["media"]) == {"image"}
    assert item["state"] == "encoded"


def test_an_item_that_loses_all_its_content_cannot_be_recommended(trained: Service) -> None:
    assert get(trained, "i0")["recommendable"]
    trained.client.patch("/items/i0", json={"title": ""})
    trained.run_jobs()
    item = get(trained, "i0")
    assert (item["media"], item["recommendable"]) == ({}, False)


def test_an_item_and_its_media_in_one_request(light: Service) -> None:
    answer = post_item(light, {"item_id": "a", "title": "x"}, image=media.png(1))
    assert answer.status_code == 201, answer.text
    medium = answer.json()["media"]["image"]
    assert (medium["content_type"], medium["width"], medium["height"]) == ("image/png", 48, 32)
    assert light.client.get("/items/a/media/image").content == media.png(1)
    assert post_item(light, {"item_id": "a", "title": "x"}, image=media.png(2)).status_code == 200


def test_an_item_without_media_as_json(light: Service) -> None:
    made = light.client.post("/items", json={"item_id": "a", "title": "x"})
    assert (made.status_code, made.json()["item_id"], made.json()["title"]) == (201, "a", "x")
    assert light.client.post("/items", json={"item_id": "a", "title": "y"}).status_code == 200
    wrong = light.client.post("/items", json={"item_id": "a/b"})
    assert wrong.status_code == 422
    assert wrong.json()["errors"] == [
        {"field": "item_id", "message": "must not contain '/' or control characters, nor be '.' or '..'"}
    ]


def test_all_of_it_or_nothing(light: Service) -> None:
    answer = post_item(light, {"item_id": "a", "title": "x"}, image=media.noise())
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "image"
    assert light.client.get("/items/a").status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": "x" * 1_001}, "title"),
        ({"title": 5}, "title"),
        ({"title": None}, "title"),
        ({"description": "x" * 50_001}, "description"),
        ({"categories": ["x"] * 51}, "categories"),
        ({"categories": [""]}, "categories.0"),
        ({"categories": "sea"}, "categories"),
        ({"attributes": {"a": "x" * 20_000}}, "attributes"),
        ({"attributes": []}, "attributes"),
        ({"available": "perhaps"}, "available"),
        ({"published_at": "2024-05-01T10:00:00"}, "published_at"),
        ({"published_at": "soon"}, "published_at"),
        ({"published_at": "0001-01-01T00:00:00+14:00"}, "published_at"),
        ({"published_at": "9999-12-31T23:59:59-14:00"}, "published_at"),
        ({"price": 1}, "price"),
    ],
)
def test_a_wrong_field_is_named(shared: Service, change: dict[str, Any], field: str) -> None:
    for answer in (
        shared.client.put("/items/a", json=change),
        post_item(shared, {"item_id": "a", **change}),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["errors"][0]["field"].removeprefix("item.") == field
    assert shared.client.get("/items/a").status_code == 404


def test_lengths_name_their_limit(shared: Service) -> None:
    (error,) = shared.client.put("/items/a", json={"title": "x" * 1_001}).json()["errors"]
    assert error["limits"] == {"max_length": 1_000}


def test_media_that_are_refused(shared: Service) -> None:
    put_item(shared, "m", "x")
    limits = shared.settings.media
    wrong = upload(shared, "m", "image", media.wav(), status=422)
    assert wrong["errors"][0]["field"] == "image"
    empty = upload(shared, "m", "image", b"", status=422)
    assert empty["errors"][0]["field"] == "image"
    bomb = upload(shared, "m", "image", media.bomb_png(), status=422)
    assert bomb["errors"][0]["limit"] == limits.image_pixels
    large = upload(shared, "m", "text", b"x" * (limits.max_bytes("text") + 1), status=413)
    assert large["errors"][0] | {"message": ""} == {"field": "text", "message": "", "limit": limits.max_bytes("text")}
    long = upload(shared, "m", "text", b"x" * (limits.text_characters + 1), status=422)
    assert long["errors"][0]["limit"] == limits.text_characters
    assert set(get(shared, "m")["media"]) == {"text"}


def test_what_is_not_there(shared: Service) -> None:
    put_item(shared, "n", "x")
    unknown = upload(shared, "n", "smell", b"x", status=404)
    assert unknown["type"].endswith("modality-unknown")
    assert "text, image" in unknown["detail"]
    assert upload(shared, "nobody", "image", media.png(1), status=404)["type"].endswith("item-not-found")
    assert shared.client.get("/items/n/media/image").json()["type"].endswith("media-not-found")


def test_a_medium_comes_raw_or_as_a_part(shared: Service) -> None:
    put_item(shared, "p", "x")
    part = shared.client.post("/items/p/media/image", files={"file": media.png(4)})
    assert part.status_code == 202
    raw = upload(shared, "p", "image", media.png(4))
    assert raw["media"]["image"]["sha256"] == part.json()["media"]["image"]["sha256"]
    wrong = shared.client.post("/items/p/media/image", files={"picture": media.png(4)})
    assert wrong.json()["errors"][0]["field"] == "file"


def test_multipart_that_is_no_item(shared: Service) -> None:
    for answer, field in (
        (shared.client.post("/items", content=b"item", headers={"Content-Type": "text/plain"}), "body"),
        (shared.client.post("/items", files={"image": media.png(1)}), "item"),
        (shared.client.post("/items", data={"item": "{"}, files={"image": media.png(1)}), "item"),
        (shared.client.post("/items", data={"item": "{}"}, files={"image": media.png(1)}), "item.item_id"),
        (shared.client.post("/items", data={"item": "[]"}, files={"image": media.png(1)}), "item"),
    ):
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == field


def test_bytes_that_were_lost_are_not_found(light: Service) -> None:
    put_item(light, "a", "x")
    stored = upload(light, "a", "image", media.png(1))["media"]["image"]["sha256"]
    assert isinstance(light.context.blobs, FsspecBlobStore)
    light.context.blobs._fs.rm(light.context.blobs._path(light.project, stored))
    assert light.client.get("/items/a/media/image").status_code == 404


@pytest.mark.parametrize("item_id", ["a/b", "/", ".", "..", "a\x07b"])
def test_an_id_that_no_path_leads_to_is_refused(shared: Service, item_id: str) -> None:
    answer = post_item(shared, {"item_id": item_id, "title": "x"}, image=media.png(1))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "item.item_id"
