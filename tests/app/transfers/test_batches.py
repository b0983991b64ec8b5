import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.config import Settings
from app.core.types import Scope
from tests.fixtures.fake_encoders import FakeEncoder
from tests.fixtures.service import Service, running_service
from tests.fixtures.trained import put_item

NDJSON = {"content-type": "application/x-ndjson"}
CSV = {"content-type": "text/csv"}


def ndjson(values: list[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def stream(service: Service, path: str, body: Any, headers: dict[str, str] = NDJSON) -> list[dict[str, Any]]:
    answer = service.client.post(path, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def batch(service: Service, path: str, body: Any) -> dict[str, Any]:
    answer = service.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def get(service: Service, item_id: str) -> dict[str, Any]:
    item: dict[str, Any] = service.client.get(f"/items/{item_id}").json()
    return item


FIELDS = {
    "title": "Harbour",
    "description": "Boats.\nAt dawn.",
    "categories": ["sea", "film"],
    "attributes": {"year": 2024, "nested": {"a": [1, 2.5, None, True, "é"]}, "big": 2**70},
    "available": False,
    "published_at": "2024-05-01T10:00:00Z",
}


def test_items_of_a_batch_are_as_if_put_one_by_one(light: Service) -> None:
    put_item(light, "old", "Old")
    report = batch(light, "/items:batch", {"items": [{"item_id": "new", **FIELDS}, {"item_id": "old", "title": "O"}]})
    assert report["summary"] == {
        "lines": 2, "created": 1, "updated": 1, "accepted": 0, "duplicate": 0, "rejected": 0
    }  # fmt: skip
    assert report["results"] == [
        {"line": 1, "status": "created", "id": "new"},
        {"line": 2, "status": "updated", "id": "old"},
    ]
    light.client.put("/items/twin", json=FIELDS)
    new, twin = get(light, "new"), get(light, "twin")
    assert {name: new[name] for name in FIELDS} == FIELDS
    for item in (new, twin):
        for name in ("item_id", "created_at", "updated_at"):
            del item[name]
    assert new == twin
    assert get(light, "old")["categories"] == []


def test_texts_are_encoded_and_stand_above_the_fields(light: Service, fakes: dict[str, FakeEncoder]) -> None:
    item = {"item_id": "a", "title": "Title", "media": {"text": {"text": "My own words."}}}
    batch(light, "/items:batch", [item, {"item_id": "b", "title": "Title"}])
    light.run_jobs()
    assert sorted(fakes["text"].encoded) == [b"My own words.", b"Title"]
    assert get(light, "a")["media"]["text"]["source"] == "upload"
    assert get(light, "a")["state"] == "encoded"
    batch(light, "/items:batch", [{"item_id": "a", "title": "Other"}, {"item_id": "b", "title": "Title"}])
    assert light.client.get("/items/a/media/text").text == "My own words."
    assert light.run_jobs() == []


def test_the_last_word_on_an_item_counts_and_its_media_stay(light: Service) -> None:
    lines = [
        {"item_id": "a", "title": "1", "media": {"text": {"text": "words"}}},
        {"item_id": "b", "title": "x"},
        {"item_id": "a", "title": "2"},
    ]
    report = batch(light, "/items:batch", lines)
    assert [result["status"] for result in report["results"]] == ["created", "created", "updated"]
    assert get(light, "a")["title"] == "2"
    assert light.client.get("/items/a/media/text").text == "words"


def test_an_item_whose_fields_say_nothing_any_more_loses_its_text(trained: Service) -> None:
    assert get(trained, "i0")["recommendable"]
    batch(trained, "/items:batch", [{"item_id": "i0"}, {"item_id": "i1"}])
    trained.run_jobs()
    assert (get(trained, "i0")["media"], get(trained, "i0")["recommendable"]) == ({}, False)
    assert set(get(trained, "i1")["media"]) == {"image"}


def test_a_deleted_item_comes_back_as_new(light: Service) -> None:
    put_item(light, "a", "x")
    light.client.delete("/items/a")
    assert batch(light, "/items:batch", [{"item_id": "a", "title": "x"}])["results"][0]["status"] == "created"
    assert set(get(light, "a")["media"]) == {"text"}


def test_one_bad_line_harms_no_other(light: Service) -> None:
    wrong = [
        ({"title": "x"}, "item_id"),
        ({"item_id": "a/b"}, "item_id"),
        ({"item_id": "w", "price": 1}, "price"),
        ({"item_id": "w", "title": "x\x00"}, "title"),
        ({"item_id": "w", "attributes": {"a": "x" * 20_000}}, "attributes"),
        ({"item_id": "w", "media": {"text": {}}}, "media.text"),
        ({"item_id": "w", "media": {"text": {"text": "x", "url": "https://a/b"}}}, "media.text"),
        ({"item_id": "w", "media": {"smell": {"text": "x"}}}, "media.smell"),
        ({"item_id": "w", "media": {"image": {"text": "no picture"}}}, "media.image"),
        ({"item_id": "w", "media": {"image": {"url": "https://media.test/a.png"}}}, "media.image"),
        (None, "item"),
        ("x", "item"),
        ([], "item"),
    ]
    lines: list[Any] = [{"item_id": f"ok{n}", "title": "x"} for n in range(len(wrong))]
    both = [line for pair in zip([line for line, _ in wrong], lines, strict=True) for line in pair]
    for report in (batch(light, "/items:batch", both)["results"], stream(light, "/items:batch", ndjson(both))[:-1]):
        assert [result["line"] for result in report] == list(range(1, len(both) + 1))
        for result, (_, field) in zip(report[::2], wrong, strict=True):
            assert result["status"] == "rejected"
            assert result["errors"][0]["field"] == field
        assert {result["status"] for result in report[1::2]} <= {"created", "updated"}
    assert light.client.get("/items/w").status_code == 404
    assert len(light.client.get("/items").json()["items"]) == len(wrong)


def test_media_by_url_are_refused_by_the_name_of_the_setting(light: Service) -> None:
    line = {"item_id": "w", "media": {"image": {"url": "https://media.test/a.png"}}}
    (result,) = batch(light, "/items:batch", [line])["results"]
    assert "CROSSAN_MEDIA_FETCH_HOSTS" in result["errors"][0]["message"]


EVENTS = [
    {"user_id": "u", "item_id": "i", "type": "view", "timestamp": "2024-01-01T00:00:00Z", "event_id": "e1"},
    {"user_id": "u", "item_id": "i", "type": "view", "timestamp": "2024-01-01T00:00:00Z", "event_id": "e1"},
    {"user_id": "", "item_id": "i"},
    {"user_id": "u", "item_id": "j", "value": 1.5, "timestamp": 1704067200},
]


def test_events_of_a_batch(light: Service) -> None:
    report = batch(light, "/events:batch", {"events": EVENTS})
    assert [result["status"] for result in report["results"]] == ["accepted", "duplicate", "rejected", "accepted"]
    assert report["results"][0]["id"] == "e1"
    assert report["results"][2]["errors"][0]["field"] == "user_id"
    again = stream(light, "/events:batch", ndjson(EVENTS))
    assert [result["status"] for result in again[:-1]] == ["duplicate", "duplicate", "rejected", "duplicate"]
    assert again[-1]["summary"]["duplicate"] == 3
    assert light.client.get("/admin/status").json()["events"] == 2


def test_a_stream_is_written_in_chunks_and_its_lines_are_answered_by_number(light: Service) -> None:
    def body() -> Iterator[bytes]:
        for number in range(1_201):
            yield b"" if number % 7 else b"\n"
            yield json.dumps({"item_id": f"i{number}", "title": f"t{number}"}).encode() + b"\n"

    *results, end = stream(light, "/items:batch", body())
    assert end["summary"] | {"created": 1_201, "lines": 1_201} == end["summary"]
    blank = {number: 1 + number // 7 for number in range(1_201)}
    assert [(r["line"], r["id"]) for r in results] == [(n + 1 + blank[n], f"i{n}") for n in range(1_201)]
    assert light.client.get("/admin/status").json()["items"]["pending"] == 1_201


def test_lines_that_are_no_json_or_too_long(light_settings: Settings, fakes: dict[str, FakeEncoder]) -> None:
    small = light_settings.model_copy(update={"bulk_line_limit_bytes": 200})
    with running_service(small, fakes) as service:
        body = b'{"item_id": "a"}\n{"item_id": \n' + b'{"item_id": "long", "title": "' + b"x" * 300 + b'"}\n\xff\nNaN\n'
        body += b'{"item_id": "b"}'
        *results, end = stream(service, "/items:batch", body)
        assert [(r["line"], r["status"]) for r in results] == [
            (1, "created"), (2, "rejected"), (3, "rejected"), (4, "rejected"), (5, "rejected"), (6, "created")
        ]  # fmt: skip
        assert "limit of 200 bytes" in results[2]["errors"][0]["message"]
        assert end["summary"]["rejected"] == 4


def test_a_table_of_items(light: Service) -> None:
    body = (
        "\ufeffitem_id,title,categories,attributes,attributes.year,attributes.lens,media.text.text,available\r\n"
        'a,"Harbour, at\ndawn","sea|film","{""k"": [1]}",2024,50mm,"words, own",false\r\n'
        "b,,,,,,,\r\n"
        "c,x\r\n"
        "d,x,,{,,,,\r\n"
        "e,x,,,007,true,,maybe\r\n"
        "f,x,,,007,true,,1\r\n"
    ).encode()
    *results, end = stream(light, "/items:batch", body, CSV)
    assert [(r["line"], r["status"]) for r in results] == [
        (2, "created"), (4, "created"), (5, "rejected"), (6, "rejected"), (7, "rejected"), (8, "created")
    ]  # fmt: skip
    assert end["summary"]["created"] == 3
    a = get(light, "a")
    assert (a["title"], a["categories"], a["available"]) == ("Harbour, at\ndawn", ["sea", "film"], False)
    assert a["attributes"] == {"k": [1], "year": 2024, "lens": "50mm"}
    assert light.client.get("/items/a/media/text").text == "words, own"
    assert get(light, "f")["attributes"] == {"year": "007", "lens": True}


def test_a_table_of_events(light: Service) -> None:
    body = b"user_id,item_id,type,value,timestamp\nu,i,view,,1704067200\nu,j,buy,2.5,2024-01-02T00:00:00Z\nu,k,v,nan,\n"
    *results, _ = stream(light, "/events:batch", body, CSV)
    assert [r["status"] for r in results] == ["accepted", "accepted", "rejected"]


@pytest.mark.parametrize(
    "header", [b"item_id,price\n", b"item_id,item_id\n", b"item_id,media\x00\n", b'"item_id\n', b"\xff\n"]
)
def test_a_header_that_is_wrong(shared: Service, header: bytes) -> None:
    answer = shared.client.post("/items:batch", content=header + b"a,1\n", headers=CSV)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == "header"


def test_a_table_without_a_line(shared: Service) -> None:
    for body in (b"", b"\n", b"item_id,title\n"):
        assert stream(shared, "/items:batch", body, CSV)[-1]["summary"]["lines"] == 0


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 422, "body"),
        (b"{}", 422, "items"),
        (b"[]", 422, "items"),
        (b"5", 422, "items"),
        (b'{"items": {}}', 422, "items"),
        (json.dumps([{}] * 501).encode(), 422, "items"),
    ],
)
def test_a_batch_that_is_none(shared: Service, body: bytes, status: int, field: str) -> None:
    answer = shared.client.post("/items:batch", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == field


def test_a_batch_of_events_has_a_limit_of_its_own(shared: Service) -> None:
    answer = shared.client.post("/events:batch", json=[{"user_id": "u", "item_id": "i"}] * 10_001)
    assert answer.json()["errors"][0]["limit"] == 10_000


def test_bodies_of_other_types(shared: Service) -> None:
    for kind in ("", "text/plain", "application/xml"):
        answer = shared.client.post("/items:batch", content=b"x", headers={"content-type": kind})
        assert answer.status_code == 415
        assert answer.json()["type"].endswith("unsupported-content-type")


def test_limits_of_bodies(light_settings: Settings, fakes: dict[str, FakeEncoder]) -> None:
    small = light_settings.model_copy(update={"bulk_json_limit_bytes": 1_000, "bulk_body_limit_bytes": 200_000})
    with running_service(small, fakes) as service:
        answer = service.client.post("/items:batch", json=[{"item_id": "a", "title": "x" * 900}] * 2)
        assert (answer.status_code, answer.json()["errors"][0]["limit"]) == (413, 1_000)
        lines = [json.dumps({"item_id": f"i{n}", "title": "x" * 300}).encode() + b"\n" for n in range(1_000)]
        declared = service.client.post("/items:batch", content=b"".join(lines), headers=NDJSON)
        assert declared.status_code == 413
        assert sum(service.client.get("/admin/status").json()["items"].values()) == 0


def test_the_path_is_no_item(shared: Service) -> None:
    assert shared.client.get("/items:batch").status_code == 405
    assert shared.client.put("/items/:batch", json={"title": "x"}).status_code == 201
    assert get(shared, ":batch")["title"] == "x"
    assert shared.client.post("/v1/items:batch", json=[{"item_id": "v", "title": "x"}]).status_code == 200


def test_whose_they_are(shared: Service) -> None:
    other = shared.project_client("other")
    put_item(shared, "mine", "x")
    assert (
        other.post("/items:batch", json=[{"item_id": "mine", "title": "y"}]).json()["results"][0]["status"] == "created"
    )
    assert get(shared, "mine")["title"] == "x"
    headers = shared.headers(Scope.RECOMMEND)
    for path in ("/items:batch", "/events:batch"):
        assert shared.client.post(path, json=[{}], headers=headers).status_code == 403


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["item_id", "title", "categories", "attributes", "available", "published_at", "media", "x"])
line_values = json_values | st.dictionaries(names, json_values, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(line_values, min_size=1, max_size=5))
def test_whatever_a_line_says_it_is_answered(shared: Service, lines: list[Any]) -> None:
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    *results, end = stream(shared, "/items:batch", body)
    assert [result["line"] for result in results] == list(range(1, len(lines) + 1))
    assert end["summary"]["lines"] == len(lines)
    assert "error" not in end


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["/items:batch", "/events:batch"]), st.sampled_from([NDJSON, CSV]))
def test_whatever_the_bytes_are(shared: Service, body: bytes, path: str, headers: dict[str, str]) -> None:
    answer = shared.client.post(path, content=body, headers=headers)
    assert answer.status_code in (200, 422), answer.text


def test_a_title_of_which_no_text_can_be_made_harms_no_other(light: Service) -> None:
    report = light.client.post(
        "/items:batch", json=[{"item_id": "a", "title": "\ufeff \ufeff"}, {"item_id": "b"}]
    ).json()
    assert [line["status"] for line in report["results"]] == ["created", "created"]
    assert light.client.get("/items/a").json()["media"] == {}
    assert light.client.put("/items/c", json={"title": "\ufeff"}).status_code == 201


def test_fields_longer_than_a_text_may_be_harm_no_other(
    light_settings: Settings, fakes: dict[str, FakeEncoder]
) -> None:
    short = light_settings.model_copy(update={"media": dataclasses.replace(light_settings.media, text_characters=20)})
    with running_service(short, fakes) as service:
        lines = [
            {"item_id": "a", "title": "x" * 21},
            {"item_id": "b", "title": "x" * 20},
            {"item_id": "c", "title": "x" * 21, "media": {"text": {"text": "short"}}},
        ]
        report = service.client.post("/items:batch", json=lines).json()
    assert [line["status"] for line in report["results"]] == ["rejected", "created", "created"]
    (error,) = report["results"][0]["errors"]
    assert (error["field"], error["limit"], error["actual"]) == ("description", 20, 21)


def test_cells_that_only_read_like_numbers_are_texts(light: Service) -> None:
    cells = ["NaN", "Infinity", "-Infinity", "1e999", "1e3", "1" + "0" * 400]
    header = ",".join(["item_id", *(f"attributes.a{n}" for n in range(len(cells)))])
    table = f"{header}\ni,{','.join(cells)}\n".encode()
    answer = light.client.post("/items:batch", content=table, headers={"Content-Type": "text/csv"})
    assert '"created"' in answer.text, answer.text
    found = light.client.get("/items/i").json()["attributes"]
    assert list(found.values()) == ["NaN", "Infinity", "-Infinity", "1e999", 1000.0, 10**400]
