"""The written folder: format, labels, decodable media, and the same bytes from the same seed."""

import csv
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import av
import pytest
from PIL import Image

from app.demo import DemoSummary, generate
from app.demo.catalogue import DEMO_END
from app.demo.walk import PERIOD_S

FOLDERS = {"image": "images", "audio": "audio", "video": "video"}


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    return generate(tmp_path_factory.mktemp("demo"), items=48, users=25)


@pytest.fixture(scope="module")
def rows(summary: DemoSummary) -> list[dict[str, str]]:
    return read_csv(summary.folder / "items.csv")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_columns(summary: DemoSummary, rows: list[dict[str, str]]) -> None:
    expected = ["item_id", "title", "categories", "description", "image", "audio", "video", "synthetic"]
    assert list(rows[0]) == expected
    assert list(read_csv(summary.folder / "events.csv")[0]) == ["user_id", "item_id", "rating", "timestamp"]


def test_summary_is_what_lies_in_the_folder(summary: DemoSummary, rows: list[dict[str, str]]) -> None:
    events = read_csv(summary.folder / "events.csv")
    touched = {event["item_id"] for event in events}
    present = Counter(name for row in rows for name in ("image", "audio", "video") if row[name])
    present["text"] = sum(bool(row["title"]) for row in rows)
    partial = sum(not all(row[name] for name in ("title", "image", "audio", "video")) for row in rows)
    assert summary == DemoSummary(
        folder=summary.folder,
        items=48,
        users=len({event["user_id"] for event in events}),
        events=len(events),
        cold_items=len({row["item_id"] for row in rows} - touched),
        partial_items=partial,
        media=dict(present),
    )
    assert touched <= {row["item_id"] for row in rows}


def test_no_item_is_empty(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert bool(row["title"]) == bool(row["description"])
        assert any(row[name] for name in ("title", "image", "audio", "video"))


def test_files_are_those_that_are_named(summary: DemoSummary, rows: list[dict[str, str]]) -> None:
    for name, folder in FOLDERS.items():
        found = {path.relative_to(summary.folder).as_posix() for path in (summary.folder / folder).iterdir()}
        assert found == {row[name] for row in rows if row[name]}


def test_all_media_decode(summary: DemoSummary, rows: list[dict[str, str]]) -> None:
    for row in rows:
        if row["image"]:
            with Image.open(summary.folder / row["image"]) as picture:
                picture.load()
                assert picture.size == (320, 320)
        if row["audio"]:
            with av.open(str(summary.folder / row["audio"])) as container:
                length = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
                assert length == pytest.approx(4.0, abs=0.05)
        if row["video"]:
            with av.open(str(summary.folder / row["video"])) as container:
                sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
                # Two seconds at eight frames a second.
                assert sizes == [(160, 160)] * 16


def test_everything_is_labelled_synthetic(summary: DemoSummary, rows: list[dict[str, str]]) -> None:
    assert all(row["synthetic"] == "true" and "Synthetic" in row["categories"].split("|") for row in rows)
    assert all(row["item_id"].startswith("demo-") for row in rows)
    assert all(event["user_id"].startswith("demo-user-") for event in read_csv(summary.folder / "events.csv"))
    assert "Synthetic" in (summary.folder / "README.md").read_text(encoding="utf-8")


def test_truth_covers_items_and_users(summary: DemoSummary, rows: list[dict[str, str]]) -> None:
    truth = json.loads((summary.folder / "truth.json").read_text(encoding="utf-8"))
    assert truth["synthetic"] is True
    assert list(truth["items"]) == [row["item_id"] for row in rows]
    assert len(truth["users"]) == 25
    assert sum(item["cold"] for item in truth["items"].values()) == summary.cold_items
    for taste in truth["users"].values():
        assert set(taste["early"]["topics"]) <= set(truth["topics"])
        assert taste["late"]["mood"] in truth["moods"]


def test_the_same_seed_gives_the_same_bytes(summary: DemoSummary, tmp_path: Path) -> None:
    again = generate(tmp_path, items=48, users=25)
    first, second = read_tree(summary.folder), read_tree(again.folder)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_a_second_run_replaces_the_first(summary: DemoSummary, tmp_path: Path) -> None:
    folder, end = tmp_path / "demo", datetime(2030, 1, 1, tzinfo=UTC)
    copytree(summary.folder, folder)
    generate(folder, items=40, users=5, seed=8, end=end)
    found = {name for name in read_tree(folder) if "/" in name}
    assert found == {row[name] for row in read_csv(folder / "items.csv") for name in FOLDERS if row[name]}
    for place, last in ((summary.folder, DEMO_END), (folder, end)):
        times = [int(event["timestamp"]) for event in read_csv(place / "events.csv")]
        assert last.timestamp() - PERIOD_S <= min(times)
        assert max(times) <= last.timestamp()


def read_tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_bad_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="items must be at least 40"):
        generate(tmp_path, items=12)
    with pytest.raises(ValueError, match="users must be at least 1"):
        generate(tmp_path, users=0)
    with pytest.raises(ValueError, match="time zone"):
        generate(tmp_path, end=datetime(2026, 7, 1))
    assert not list(tmp_path.iterdir())
