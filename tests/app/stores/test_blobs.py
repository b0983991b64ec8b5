import hashlib
import threading
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from app.core.types import ProjectId
from app.stores.blobs import BlobStore, FsspecBlobStore, MemoryBlobStore, sha256_of

ONE, TWO = ProjectId(1), ProjectId(2)


@pytest.fixture(params=["folder", "memory twin"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return FsspecBlobStore(f"file://{tmp_path}") if request.param == "folder" else MemoryBlobStore()


def put(blobs: BlobStore, data: bytes, project: ProjectId = ONE) -> str:
    file = BytesIO(data)
    content_hash = sha256_of(file)
    blobs.put(project, content_hash, file)
    return content_hash


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_bytes_come_back(blobs: BlobStore) -> None:
    data = bytes(range(256)) * 10_000
    content_hash = put(blobs, data)
    assert content_hash == hashlib.sha256(data).hexdigest()
    assert blobs.get(ONE, content_hash) == data
    with blobs.open(ONE, content_hash) as file:
        assert file.read() == data


def test_a_blob_of_another_project_is_not_there(blobs: BlobStore) -> None:
    content_hash = put(blobs, b"secret", ONE)
    with pytest.raises(FileNotFoundError):
        blobs.get(TWO, content_hash)
    with pytest.raises(FileNotFoundError):
        blobs.open(TWO, content_hash)


def test_the_same_bytes_twice_are_kept_once(tmp_path: Path) -> None:
    blobs = FsspecBlobStore(f"file://{tmp_path}")
    content_hash = put(blobs, b"same")
    (path,) = files(tmp_path)
    before = path.stat()
    assert put(blobs, b"same") == content_hash
    assert files(tmp_path) == [path]
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


class Interrupted(BytesIO):
    def read(self, *args: Any) -> bytes:
        if self.tell() > 0:
            raise ConnectionError
        return super().read(10)


def test_a_write_that_breaks_off_leaves_no_blob(tmp_path: Path) -> None:
    blobs = FsspecBlobStore(f"file://{tmp_path}")
    whole = b"0123456789" * 5
    content_hash = hashlib.sha256(whole).hexdigest()
    with pytest.raises(ConnectionError):
        blobs.put(ONE, content_hash, Interrupted(whole))
    with pytest.raises(FileNotFoundError):
        blobs.get(ONE, content_hash)
    assert put(blobs, whole) == content_hash
    assert blobs.get(ONE, content_hash) == whole


class Slow(BytesIO):
    """Lets somebody look while it is being read."""

    def __init__(self, data: bytes, started: threading.Event, go_on: threading.Event) -> None:
        super().__init__(data)
        self._started, self._go_on = started, go_on

    def read(self, *args: Any) -> bytes:
        self._started.set()
        assert self._go_on.wait(10)
        return super().read(*args)


def test_no_reader_meets_half_a_blob(tmp_path: Path) -> None:
    blobs = FsspecBlobStore(f"file://{tmp_path}")
    started, go_on = threading.Event(), threading.Event()
    content_hash = hashlib.sha256(b"whole").hexdigest()
    writer = threading.Thread(target=blobs.put, args=(ONE, content_hash, Slow(b"whole", started, go_on)))
    writer.start()
    assert started.wait(10)
    with pytest.raises(FileNotFoundError):
        blobs.get(ONE, content_hash)
    put(blobs, b"whole")  # a second upload of the same bytes does not wait for the first
    go_on.set()
    writer.join()
    assert blobs.get(ONE, content_hash) == b"whole"
    assert len(files(tmp_path)) == 1


class Bucket:
    """As clients of buckets are: what they have listed they remember until they are told to forget."""

    def __init__(self) -> None:
        self.modified: dict[str, datetime] = {}
        self._remembered: dict[str, datetime] | None = None

    def _known(self) -> dict[str, datetime]:
        return self.modified if self._remembered is None else self._remembered

    def invalidate_cache(self) -> None:
        self._remembered = None

    def ls(self, folder: str, *, detail: bool) -> list[dict[str, Any]]:
        self._remembered = dict(self._known())
        return [{"name": path, "LastModified": when} for path, when in self._known().items()]

    def info(self, path: str) -> dict[str, Any]:
        return {"name": path, "LastModified": self._known()[path]}

    def rm_file(self, path: str) -> None:
        del self.modified[path]


def test_what_is_stored_again_in_a_bucket_is_no_leftover(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs, bucket, name = FsspecBlobStore("memory://media"), Bucket(), "ab" + "0" * 62
    monkeypatch.setattr(blobs, "_fs", bucket)
    path = f"{blobs._root}/{ONE}/ab/{name}"
    bucket.modified[path] = datetime(2020, 1, 1, tzinfo=UTC)
    assert blobs.older_than(ONE, "ab", 3_600.0) == [name]
    bucket.modified[path] = datetime.now(UTC)
    assert not blobs.delete_old(ONE, name, 3_600.0)
    bucket.ls("", detail=True)
    bucket.modified[path] = datetime(2020, 1, 1, tzinfo=UTC)
    assert blobs.older_than(ONE, "ab", 3_600.0) == [name]
    assert blobs.delete_old(ONE, name, 3_600.0)
    assert bucket.modified == {}
