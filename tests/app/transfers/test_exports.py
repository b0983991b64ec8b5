import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.core.types import Scope
from app.projects.service import ProjectService
from tests.app.transfers.conftest import with_transfers
from tests.fixtures.service import Service
from tests.fixtures.trained import put_item


def exported(service: Service, **order: Any) -> dict[str, Any]:
    ordered = service.client.post("/admin/exports", json=order)
    assert ordered.status_code == 202, ordered.text
    service.run_jobs()
    job: dict[str, Any] = service.client.get(ordered.headers["location"]).json()
    assert job["state"] == "succeeded", job
    return job


def files_of(service: Service, job: dict[str, Any]) -> list[tuple[str, bytes]]:
    return [(file["name"], service.client.get(file["url"]).content) for file in job["files"]]


def new_project(service: Service, name: str) -> tuple[int, TestClient]:
    with service.context.database.transaction() as transaction:
        project = ProjectService(transaction).ensure_project(name)
    return project, service.project_client(name)


def import_into(
    service: Service, client: TestClient, kind: str, files: list[tuple[str, bytes]]
) -> list[dict[str, Any]]:
    jobs = [client.post("/admin/imports", data={"kind": kind}, files={"file": file}).json() for file in files]
    service.run_jobs()
    return [client.get(f"/admin/imports/{job['id']}").json() for job in jobs]


ITEMS = "item_id, title, description, categories, attributes, available, published_at"
EVENTS = "event_id, user_id, item_id, type, value, timestamp"


def rows(service: Service, table: str, columns: str, project: int) -> list[tuple[Any, ...]]:
    with service.context.database.transaction() as transaction:
        query = text(f"SELECT {columns} FROM {table} WHERE project_id = :project ORDER BY id")
        return [tuple(row) for row in transaction.session.execute(query, {"project": project})]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
times = st.datetimes(datetime(1970, 1, 2), datetime(2024, 1, 1), timezones=st.just(UTC))
items = st.fixed_dictionaries(
    {
        "title": texts,
        "description": texts | st.just('a,"b"\r\n|\\ü'),
        "categories": st.lists(st.sampled_from(["a|b", "sea", "x,y", '"']), max_size=3),
        "attributes": st.dictionaries(texts, json_values, max_size=3),
        "available": st.booleans(),
        "published_at": st.none() | times.map(datetime.isoformat),
    }
)
events = st.fixed_dictionaries(
    {
        "value": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "timestamp": times.map(datetime.isoformat),
        "type": st.sampled_from(["view", "a.b:c-d"]),
        "user_id": st.sampled_from(["ü,|\"'", "u"]),
    },
    optional={"event_id": st.integers(0, 10**9).map(str)},
)


@pytest.fixture(scope="module")
def both(shared: Service) -> Service:
    return with_transfers(shared)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.sampled_from(["parquet", "ndjson"]))
def test_what_is_exported_and_imported_elsewhere_is_the_same(both: Service, data: st.DataObject, form: str) -> None:
    number = len(both.client.get("/admin/exports?limit=1000").json()["exports"])
    from_project, from_client = new_project(both, f"from{number}")
    to_project, to_client = new_project(both, f"to{number}")
    given_items = data.draw(st.lists(items, min_size=1, max_size=4))
    given_events = data.draw(st.lists(events, min_size=1, max_size=4))
    lines = [{"item_id": f"i{n}", **item} for n, item in enumerate(given_items)]
    assert from_client.post("/items:batch", json=lines).json()["summary"]["created"] == len(lines)
    from_client.post("/events:batch", json=[{"item_id": "i0", **event} for event in given_events])
    for kind, table, columns in (("items", "items", ITEMS), ("events", "events", EVENTS)):
        ordered = from_client.post("/admin/exports", json={"kind": kind, "format": form}).json()
        both.client.post("/admin/exports", json={"kind": kind})
        both.run_jobs()
        job = from_client.get(f"/admin/exports/{ordered['id']}").json()
        files = [(file["name"], from_client.get(file["url"]).content) for file in job["files"]]
        (imported,) = import_into(both, to_client, kind, files)
        assert imported["progress"]["rejected"] == 0, imported["errors"]
        there = rows(both, table, columns, from_project)
        assert there
        assert rows(both, table, columns, to_project) == there


@pytest.mark.parametrize("form", ["parquet", "ndjson"])
def test_texts_and_addresses_of_media_go_along(transfers: Service, form: str) -> None:
    put_item(transfers, "a", "Title")
    transfers.client.post("/items/a/media/text", json={"text": "My own words."})
    put_item(transfers, "b", "Title")
    with transfers.context.database.transaction() as transaction:
        transaction.session.execute(
            text(
                "INSERT INTO media_fetches (project_id, item_pk, modality, url, state) "
                "SELECT project_id, id, 'image', 'https://media.test/b.png', 'fetched' FROM items WHERE item_id = 'b'"
            )
        )
    job = exported(transfers, kind="items", format=form)
    _, client = new_project(transfers, "other")
    (imported,) = import_into(transfers, client, "items", files_of(transfers, job))
    assert imported["progress"]["created"] == 1
    assert client.get("/items/a/media/text").text == "My own words."
    assert "CROSSAN_MEDIA_FETCH_HOSTS" in imported["errors"][0]["errors"][0]["message"]


def test_an_export_is_of_one_moment_in_parts_of_bounded_size(
    transfers: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.transfers.exporting.BATCH_ROWS", 2)
    monkeypatch.setattr("app.transfers.exporting.PART_ROWS", 4)
    for number in range(9):
        put_item(transfers, f"i{number}", "x")
    write = transfers.context.transfers.write_export

    def write_while_items_come(*args: Any) -> Any:
        put_item(transfers, f"late{args[2]}", "x")
        return write(*args)

    monkeypatch.setattr(
        "app.stores.transfers.TransferStore.write_export", lambda self, *args: write_while_items_come(*args)
    )
    job = exported(transfers, kind="items", format="ndjson")
    assert [(file["name"], file["rows"]) for file in job["files"]] == [
        ("part-00000.ndjson", 4), ("part-00001.ndjson", 4), ("part-00002.ndjson", 1)
    ]  # fmt: skip
    assert job["rows"] == 9
    lines = [json.loads(line) for _, data in files_of(transfers, job) for line in data.splitlines()]
    assert [line["item_id"] for line in lines] == [f"i{number}" for number in range(9)]
    sizes = [len(data) for _, data in files_of(transfers, job)]
    assert sizes == [file["size_bytes"] for file in job["files"]]


def test_nothing_at_all_is_a_file_of_nothing(transfers: Service) -> None:
    for form in ("parquet", "ndjson"):
        job = exported(transfers, kind="events", format=form)
        assert [file["rows"] for file in job["files"]] == [0]
        (imported,) = import_into(transfers, transfers.client, "events", files_of(transfers, job))
        assert (imported["state"], imported["progress"]["lines"]) == ("succeeded", 0)


def test_a_period(transfers: Service) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    days = [(start + timedelta(days=day)).isoformat() for day in range(5)]
    transfers.client.post("/events:batch", json=[{"user_id": "u", "item_id": "i", "timestamp": day} for day in days])
    job = exported(transfers, kind="events", format="ndjson", since=days[1], until=days[3])
    ((_, data),) = files_of(transfers, job)
    found = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in data.splitlines()]
    assert found == [datetime.fromisoformat(day) for day in days[1:3]]


def test_an_export_whose_worker_ends_begins_anew(transfers: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    put_item(transfers, "a", "x")
    ordered = transfers.client.post("/admin/exports", json={"kind": "items"}).json()
    transfers.client.delete("/items/a")
    transfers.shutting_down.set()
    from uuid import UUID

    from app.core.jobs import JobKind
    from app.jobs.run import run_job

    run_job(
        transfers.context.database,
        UUID(ordered["id"]),
        transfers.more_work[JobKind.EXPORT],
        heartbeat_s=1.0,
        shutting_down=transfers.shutting_down,
    )
    assert transfers.client.get(f"/admin/exports/{ordered['id']}").json()["state"] in ("queued", "succeeded")
    transfers.shutting_down.clear()
    transfers.run_jobs()
    job = transfers.client.get(f"/admin/exports/{ordered['id']}").json()
    assert (job["state"], job["rows"]) == ("succeeded", 0)


def test_cancelling_and_whose_it_is(transfers: Service) -> None:
    ordered = transfers.client.post("/admin/exports", json={"kind": "items"}).json()
    assert transfers.client.delete(f"/admin/exports/{ordered['id']}").json()["state"] == "cancelled"
    job = exported(transfers, kind="items")
    assert [one["id"] for one in transfers.client.get("/admin/exports").json()["exports"]] == [job["id"], ordered["id"]]
    other = transfers.project_client("other")
    for path in (f"/admin/exports/{job['id']}", job["files"][0]["url"], f"/admin/imports/{job['id']}"):
        assert other.get(path).status_code == 404
    assert other.delete(f"/admin/exports/{job['id']}").status_code == 404
    headers = transfers.headers(Scope.INGEST, Scope.RECOMMEND)
    assert transfers.client.get(job["files"][0]["url"], headers=headers).status_code == 403


@pytest.mark.parametrize("name", ["part-00001.parquet", "..%2Fpart", "x", "part-00000.parquet.partial"])
def test_files_that_are_not_there(transfers: Service, name: str) -> None:
    job = exported(transfers, kind="items")
    answer = transfers.client.get(f"/admin/exports/{job['id']}/files/{name}")
    assert answer.status_code == 404


def test_orders_that_are_wrong(transfers: Service) -> None:
    for order in (
        {},
        {"kind": "things"},
        {"kind": "items", "format": "csv"},
        {"kind": "items", "since": "2024-01-01T00:00:00"},
    ):
        assert transfers.client.post("/admin/exports", json=order).status_code == 422
