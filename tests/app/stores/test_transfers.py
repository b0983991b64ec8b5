import io
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from app.core.types import ProjectId
from app.stores.transfers import PathRefused, TransferStore, checked_path

ONE, TWO = ProjectId(1), ProjectId(2)


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TransferStore:
    """A folder, and a store without folders or renames in place, as buckets are."""
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        return TransferStore("memory://bucket/prefix")
    return TransferStore(f"file://{tmp_path}")


def test_an_upload_comes_and_goes(store: TransferStore) -> None:
    path = store.save_upload(ONE, io.BytesIO(b"data"))
    assert store.import_size(ONE, path) == 4
    with store.open_import(ONE, path) as file:
        file.seek(2)
        assert file.read() == b"ta"
    for wrong in (lambda: store.open_import(TWO, path), lambda: store.import_size(TWO, path)):
        with pytest.raises(FileNotFoundError):
            wrong()
    store.discard_upload(ONE, path)
    store.discard_upload(ONE, path)
    with pytest.raises(FileNotFoundError):
        store.import_size(ONE, path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "imports" / "1" / "folder").mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        TransferStore(f"file://{tmp_path}").import_size(ONE, "folder")


def test_rejects_are_read_in_the_order_of_lines_and_written_again_in_their_place(store: TransferStore) -> None:
    job = uuid4()
    for line, data in ((1_501, b"c"), (1, b"x"), (501, b"b"), (1, b"a")):
        store.write_rejects(ONE, job, line, data)
    assert b"".join(store.read_rejects(ONE, job)) == b"abc"
    assert b"".join(store.read_rejects(TWO, job)) == b""


def test_an_export_is_there_when_it_is_whole(store: TransferStore) -> None:
    job = uuid4()
    with store.write_export(ONE, job, "part") as file:
        file.write(b"half")
        with pytest.raises(FileNotFoundError):
            store.open_export(ONE, job, "part")
    with store.open_export(ONE, job, "part") as file:
        assert file.read() == b"half"
    with pytest.raises(ZeroDivisionError), store.write_export(ONE, job, "other"):
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError):
        store.open_export(ONE, job, "other")
    store.discard(ONE, job)
    with pytest.raises(FileNotFoundError):
        store.open_export(ONE, job, "part")


@pytest.mark.parametrize(
    "path", ["..", "a/../../2/x", "/x", "//x", "a//b", "a/", "./x", "a\\b", "a*", "a\x00", "", "x" * 1_001]
)
def test_paths_that_leave_their_folder(store: TransferStore, path: str) -> None:
    with pytest.raises(PathRefused):
        store.open_import(ONE, path)
    with pytest.raises(PathRefused):
        store.import_size(ONE, path)


@pytest.mark.parametrize("path", ["x", "a/b/c.csv", "a..b", ".hidden", "ü/x y.csv"])
def test_plain_paths(path: str) -> None:
    assert checked_path(path) == path
