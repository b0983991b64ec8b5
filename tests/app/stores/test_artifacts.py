import os
import time
from pathlib import Path

from app.core.types import ProjectId
from app.stores.artifacts import ArtifactStore

PROJECT = ProjectId(3)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    scratch = store.new_folder(PROJECT)
    (scratch / "weights").write_bytes(b"1")
    artifact = store.publish(PROJECT, "job", scratch)
    assert not scratch.exists()
    assert (store.path(artifact) / "weights").read_bytes() == b"1"
    assert store.path(artifact) == tmp_path / "3" / "job"


def test_scratch_folders_are_apart_and_on_the_same_file_system(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    one, two = store.new_folder(PROJECT), store.new_folder(PROJECT)
    assert one != two
    assert one.parent == two.parent == tmp_path / "3"


def test_what_killed_workers_left_behind_goes_after_a_week(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    old, young = store.new_folder(PROJECT), store.new_folder(PROJECT)
    week_ago = time.time() - 7 * 86_400 - 1
    os.utime(old, (week_ago, week_ago))
    store.new_folder(PROJECT)
    assert young.is_dir()
    assert not old.exists()


def test_a_leftover_of_a_dead_run_is_replaced(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for content in (b"old", b"new"):
        scratch = store.new_folder(PROJECT)
        (scratch / content.decode()).write_bytes(content)
        artifact = store.publish(PROJECT, "job", scratch)
    assert [path.name for path in store.path(artifact).iterdir()] == ["new"]


def test_a_kept_folder_is_found_again_by_its_name(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    (store.kept_folder(PROJECT, "job") / "state").write_bytes(b"1")
    assert (store.kept_folder(PROJECT, "job") / "state").read_bytes() == b"1"
    assert not list(store.kept_folder(PROJECT, "other").iterdir())
    assert not list(store.kept_folder(ProjectId(4), "job").iterdir())
    store.discard(store.kept_folder(PROJECT, "job"))
    assert not list(store.kept_folder(PROJECT, "job").iterdir())


def test_kept_folders_are_listed_and_no_others(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert list(store.kept_folders()) == []
    kept = {store.kept_folder(PROJECT, "one"), store.kept_folder(ProjectId(4), "two")}
    store.publish(PROJECT, "job", store.new_folder(PROJECT))
    store.new_folder(PROJECT)
    found = dict(store.kept_folders())
    assert sorted(found) == ["one", "two"]
    assert set(found.values()) == kept


def test_a_kept_folder_that_nobody_came_back_for_goes_after_a_week(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    kept = store.kept_folder(PROJECT, "job")
    week_ago = time.time() - 7 * 86_400 - 1
    os.utime(kept, (week_ago, week_ago))
    store.new_folder(PROJECT)
    assert not kept.exists()
