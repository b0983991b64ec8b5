import io
import json
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from app.core.errors import DependencyUnavailable
from app.jobs.run import JobInterrupted, JobRun, run_job
from app.jobs.service import SweepPolicy, sweep_jobs
from app.transfers.importing import Importer
from app.transfers.service import TransferService
from tests.fixtures.service import Service

pytestmark = pytest.mark.usefixtures("transfers")


def upload(service: Service, name: str, data: bytes, **fields: str) -> Any:
    return service.client.post("/admin/imports", data=fields, files={"file": (name, data)})


def imported(service: Service, name: str, data: bytes, **fields: str) -> dict[str, Any]:
    """The import once it is over."""
    ordered = upload(service, name, data, **fields)
    assert ordered.status_code == 202, ordered.text
    assert ordered.headers["location"] == f"/admin/imports/{ordered.json()['id']}"
    service.run_jobs()
    return read(service, ordered.json()["id"])


def read(service: Service, import_id: str) -> dict[str, Any]:
    document: dict[str, Any] = service.client.get(f"/admin/imports/{import_id}").json()
    return document


def ndjson(values: list[Any]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def items(count: int) -> list[dict[str, Any]]:
    return [{"item_id": f"i{n}", "title": f"title {n}"} for n in range(count)]


def stored(service: Service, project: int | None = None) -> list[str]:
    with service.context.database.transaction() as transaction:
        query = text("SELECT item_id FROM items WHERE project_id = :project ORDER BY id")
        return list(transaction.session.scalars(query, {"project": project or service.project}))


def test_a_file_of_items(light: Service) -> None:
    lines = [*items(1_200), {"item_id": "bad", "title": 5}, "x"]
    job = imported(light, "items.ndjson", ndjson(lines), kind="items")
    assert (job["state"], job["format"], job["source"], job["error"]) == ("succeeded", "ndjson", "items.ndjson", None)
    assert job["progress"] == {
        "lines": 1_202, "created": 1_200, "updated": 0, "accepted": 0, "duplicate": 0, "rejected": 2,
        "position": len(ndjson(lines)), "size_bytes": len(ndjson(lines)),
    }  # fmt: skip
    assert [error["line"] for error in job["errors"]] == [1_201, 1_202]
    rejects = light.client.get(job["rejects"])
    assert [json.loads(line) for line in rejects.text.splitlines()] == [
        {key: value for key, value in error.items() if value is not None} for error in job["errors"]
    ]
    assert stored(light) == [item["item_id"] for item in items(1_200)]


def test_the_uploaded_file_goes_when_it_has_been_read(light: Service) -> None:
    imported(light, "items.ndjson", ndjson(items(1)), kind="items")
    folder = light.settings.data_dir / "blobs" / "imports" / str(light.project)
    assert list(folder.iterdir()) == []


def test_a_hundred_errors_are_shown_and_all_are_kept(light: Service) -> None:
    job = imported(light, "events.jsonl", ndjson([{"user_id": f"u{n}"} for n in range(1_050)]), kind="events")
    assert len(job["errors"]) == 100
    rejects = light.client.get(job["rejects"]).text.splitlines()
    assert [json.loads(line)["line"] for line in rejects] == list(range(1, 1_051))


def test_a_table(light: Service) -> None:
    data = b'item_id,title,categories\na,"Two\nlines",sea|film\nb,,\n'
    job = imported(light, "items.csv", data, kind="items")
    assert (job["progress"]["created"], job["progress"]["rejected"]) == (2, 0)
    assert light.client.get("/items/a").json()["categories"] == ["sea", "film"]


def parquet(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def test_a_table_of_types(light: Service) -> None:
    table = pa.table(
        {
            "item_id": ["a", "b", None],
            "title": ["A", None, "C"],
            "categories": pa.array([["x", "y"], [], None], pa.list_(pa.string())),
            "attributes": ['{"big": 123456789012345678901234567890}', None, "{"],
            "attributes.year": pa.array([2024, 2025, 1], pa.int16()),
            "attributes.day": pa.array([1, 2, 3], pa.date32()),
            "published_at": pa.array([1, None, 2], pa.timestamp("ns")),
        }
    )
    job = imported(light, "items.parquet", parquet(table), kind="items")
    assert (job["progress"]["created"], job["progress"]["rejected"]) == (2, 1), job
    a = light.client.get("/items/a").json()
    assert (a["title"], a["categories"], a["published_at"]) == ("A", ["x", "y"], "1970-01-01T00:00:00Z")
    assert a["attributes"] == {"big": 123456789012345678901234567890, "year": 2024, "day": "1970-01-02"}


@pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
def test_an_import_that_was_left_off_goes_on_where_it_was(
    light: Service, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is asked to end after every chunk: in the end each line has been written once."""
    count = 1_700
    data = {
        "ndjson": b'"x"\n' + ndjson(items(count)),
        "csv": b"item_id,title\n\n" + b"".join(f'i{n},"t\n{n}"\n'.encode() for n in range(count)),
        "parquet": parquet(pa.Table.from_pylist(items(count)), row_group_size=700),
    }[form]
    written: list[int] = []
    importer = Importer(light.context.writing, light.context.transfers, 1_000)
    write = Importer._write

    def write_one_chunk(self: Importer, run: JobRun, writer: Any, chunk: Any, before: Any) -> Any:
        written.extend(line.number for line in chunk.lines)
        after = write(self, run, writer, chunk, before)
        light.shutting_down.set()
        return after

    monkeypatch.setattr(Importer, "_write", write_one_chunk)
    attempts = 0

    def attempt(run: JobRun) -> None:
        nonlocal attempts
        attempts += 1
        light.shutting_down.clear()
        importer.run(run)

    ordered = upload(light, f"x.{form}", data, kind="items").json()
    while read(light, ordered["id"])["state"] == "queued":
        run_job(
            light.context.database,
            UUID(ordered["id"]),
            attempt,
            heartbeat_s=light.settings.heartbeat_s,
            shutting_down=light.shutting_down,
        )
    job = read(light, ordered["id"])
    assert job["state"] == "succeeded"
    assert attempts >= 3
    assert job["attempts"] <= 1, "an attempt that was given back does not count"
    assert len(written) == len(set(written))
    assert job["progress"]["lines"] == len(written) == count + (form == "ndjson")
    assert stored(light) == [f"i{n}" for n in range(count)]
    if form == "ndjson":
        assert [json.loads(line)["line"] for line in light.client.get(job["rejects"]).text.splitlines()] == [1]


def test_an_import_can_be_cancelled(light: Service) -> None:
    ordered = upload(light, "x.ndjson", ndjson(items(3)), kind="items").json()
    answer = light.client.delete(f"/admin/imports/{ordered['id']}")
    assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")
    light.run_jobs()
    assert stored(light) == []


def test_a_running_import_can_be_cancelled_and_what_it_wrote_stays(
    light: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = upload(light, "x.ndjson", ndjson(items(1_500)), kind="items").json()
    write = Importer._write

    def write_then_cancel(self: Importer, run: JobRun, *args: Any) -> Any:
        after = write(self, run, *args)
        light.client.delete(f"/admin/imports/{run.id}")
        while not run.cancelled:
            time.sleep(0.02)
        return after

    monkeypatch.setattr(Importer, "_write", write_then_cancel)
    light.run_jobs()
    job = read(light, ordered["id"])
    assert (job["state"], job["progress"]["lines"]) == ("cancelled", 500)
    assert len(stored(light)) == 500


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.parquet", b"PAR1 no", "parquet"),
        ("x.csv", b"item_id,price\na,1\n", "price"),
        ("x.parquet", parquet(pa.table({"item_id": ["a"], "price": [1]})), "price"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(light: Service, name: str, data: bytes, reason: str) -> None:
    job = imported(light, name, data, kind="items")
    assert job["state"] == "failed"
    assert reason in job["error"]


def test_a_row_group_past_the_limit(light: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.transfers.reading.MAX_ROW_GROUP_BYTES", 100)
    job = imported(light, "x.parquet", parquet(pa.Table.from_pylist(items(100))), kind="items")
    assert "Row group 0" in job["error"]


def test_a_file_of_the_blob_store(light: Service) -> None:
    folder = light.settings.data_dir / "blobs" / "imports" / str(light.project) / "2026"
    folder.mkdir(parents=True)
    (folder / "events.ndjson").write_bytes(ndjson([{"user_id": "u", "item_id": "i", "event_id": "e"}]))
    order = {"kind": "events", "blob": "2026/events.ndjson"}
    for accepted, duplicate in ((1, 0), (0, 1)):
        ordered = light.client.post("/admin/imports", json=order)
        assert ordered.status_code == 202, ordered.text
        light.run_jobs()
        job = read(light, ordered.json()["id"])
        assert (job["progress"]["accepted"], job["progress"]["duplicate"]) == (accepted, duplicate)
    assert (folder / "events.ndjson").is_file()
    other = light.project_client("other")
    assert other.post("/admin/imports", json=order).status_code == 422
    assert other.get(f"/admin/imports/{job['id']}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "../1/x.ndjson",
        "/etc/passwd.csv",
        "a/../../x.csv",
        "..",
        ".",
        "a//b.csv",
        "a\\b.csv",
        "a/*.csv",
        "",
        "x\x00.csv",
    ],
)
def test_paths_that_lead_elsewhere(light: Service, path: str) -> None:
    answer = light.client.post("/admin/imports", json={"kind": "items", "blob": path})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "blob"


def test_a_file_that_goes_before_it_is_read(light: Service) -> None:
    folder = light.settings.data_dir / "blobs" / "imports" / str(light.project)
    folder.mkdir(parents=True)
    (folder / "x.csv").write_bytes(b"item_id\na\n")
    ordered = light.client.post("/admin/imports", json={"kind": "items", "blob": "x.csv"}).json()
    (folder / "x.csv").unlink()
    light.run_jobs()
    assert (read(light, ordered["id"])["state"], read(light, ordered["id"])["error"]) == (
        "failed", "The file is not there any more."
    )  # fmt: skip


def test_orders_that_are_wrong(light: Service) -> None:
    wrong = [
        (upload(light, "x.ndjson", b"", kind="things"), "kind"),
        (upload(light, "x", b"", kind="items"), "file"),
        (upload(light, "x", b"", kind="items", format="xml"), "format"),
        (light.client.post("/admin/imports", json={"kind": "items"}), "blob"),
        (light.client.post("/admin/imports", data={"kind": "items"}, files={"other": b""}), "file"),
    ]
    for answer, field in wrong:
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == field


def test_the_list(light: Service) -> None:
    made = [upload(light, f"{n}.csv", b"", kind="items").json()["id"] for n in range(3)]
    page = light.client.get("/admin/imports?limit=2").json()
    rest = light.client.get("/admin/imports", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [one["id"] for one in page["imports"] + rest["imports"]] == made[::-1]
    assert light.client.get(f"/admin/exports/{made[0]}").status_code == 404
    assert light.client.get(f"/admin/trainings/{made[0]}").status_code == 404


def blobs(service: Service) -> list[Path]:
    root = service.settings.data_dir / "blobs"
    return [path for area in ("imports", "rejects", "exports") for path in (root / area).rglob("*") if path.is_file()]


def test_what_is_left_goes_some_days_after_the_end(light: Service) -> None:
    from app.transfers.upkeep import discard_old

    imported(light, "x.ndjson", b'"x"\n', kind="items")
    kept = upload(light, "y.ndjson", b'"x"\n', kind="items").json()["id"]
    light.client.delete(f"/admin/imports/{kept}")
    light.client.post("/admin/exports", json={"kind": "items"})
    light.run_jobs()
    assert len(blobs(light)) == 3
    for older_s, left in ((3_600.0, 3), (0.0, 0)):
        with light.context.database.transaction() as transaction:
            discard_old(transaction, light.context.transfers, older_s=older_s)
        assert len(blobs(light)) == left
    assert light.client.get("/admin/imports").json()["imports"] == []


def test_a_worker_that_dies_after_a_chunk_costs_nothing_that_was_written(
    light: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after kill -9: the row still says that the job runs, until the sweep misses its heartbeat."""
    ordered = upload(light, "x.ndjson", ndjson([*items(600), "bad"]), kind="items").json()
    write = Importer._write
    written: list[int] = []

    def write_and_die(self: Importer, run: JobRun, writer: Any, chunk: Any, before: Any) -> Any:
        written.extend(line.number for line in chunk.lines)
        after = write(self, run, writer, chunk, before)
        if len(written) == 500:
            raise JobInterrupted
        return after

    monkeypatch.setattr(Importer, "_write", write_and_die)
    with pytest.raises(JobInterrupted):
        light.run_jobs()
    assert (read(light, ordered["id"])["state"], read(light, ordered["id"])["progress"]["lines"]) == ("running", 500)
    with light.context.database.transaction() as transaction:
        transaction.session.execute(text("UPDATE jobs SET heartbeat_at = now() - interval '1 hour'"))
    with light.context.database.transaction() as transaction:
        sweep_jobs(transaction, light.context.queue, SweepPolicy(stale_s=10.0, resend_s=20.0, max_attempts=5))
    light.run_jobs()
    job = read(light, ordered["id"])
    assert (job["state"], job["attempts"], job["progress"]["lines"]) == ("succeeded", 2, 601)
    assert written == list(range(1, 602))
    assert [error["line"] for error in job["errors"]] == [601]


def test_names_that_a_row_cannot_hold_end_no_import(light: Service) -> None:
    odd = {"item_id": "b", "bad\x00" + "x" * 1_000: 1, **{f"more{n}": 1 for n in range(50)}}
    job = imported(light, "items.ndjson", ndjson([{"item_id": "a"}, odd, {"item_id": "c"}]), kind="items")
    assert (job["state"], job["progress"]["created"], job["progress"]["rejected"]) == ("succeeded", 2, 1)
    (error,) = job["errors"]
    assert len(error["errors"]) == 10
    assert error["errors"][0]["field"] == "bad\ufffd" + "x" * 296
    rejects = light.client.get(f"/admin/imports/{job['id']}/rejects").json()
    assert rejects["errors"][0]["field"] == "bad\x00" + "x" * 1_000


def test_a_column_that_a_row_cannot_hold_ends_the_import_with_its_reason(light: Service) -> None:
    job = imported(light, "items.csv", b"item_id,ti\x00tle\na,b\n", kind="items")
    assert job["state"] == "failed"
    assert "the column 'ti\ufffdtle' is not one of items" in job["error"]


def test_a_name_of_a_file_in_an_odd_character_set(light: Service) -> None:
    parts = [("kind", "", b"items"), ("file", '; filename="+2AA-.ndjson"', b"{}")]
    body = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name.encode(), more.encode(), data)
        for name, more, data in parts
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b; charset=utf-7"}
    ordered = light.client.post("/admin/imports", content=body + b"--b--\r\n", headers=headers)
    assert ordered.status_code == 202, ordered.text
    assert ordered.json()["source"] == "?.ndjson"


def test_a_file_whose_import_cannot_be_ordered_is_not_kept(
    light: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any) -> None:
        raise DependencyUnavailable("away")

    monkeypatch.setattr(TransferService, "import_upload", refuse)
    assert upload(light, "items.ndjson", ndjson(items(1)), kind="items").status_code == 503
    assert not [path for path in tmp_path.rglob("imports/**/*") if path.is_file()]


def test_a_path_below_a_file(light: Service) -> None:
    ordered = upload(light, "items.ndjson", ndjson(items(1)), kind="items").json()
    with light.context.database.transaction() as transaction:
        query = text("SELECT payload ->> 'path' FROM jobs WHERE id = :id")
        path = transaction.session.scalars(query, {"id": ordered["id"]}).one()
    order = {"kind": "items", "format": "ndjson", "blob": f"{path}/x"}
    answer = light.client.post("/admin/imports", json=order)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "blob")
