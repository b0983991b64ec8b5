"""Content-addressed media: the same bytes are stored once a project, under their SHA-256."""

import contextlib
import hashlib
import math
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any, BinaryIO, Protocol

import fsspec
from fsspec.implementations.local import LocalFileOpener, LocalFileSystem

from app.core.types import ProjectId

CHUNK_BYTES = 1 << 20
YOUNG_S = 3_600.0
"""A blob that is stored again and older than this is made young, so that nobody takes it for a leftover."""


def sha256_of(file: BinaryIO) -> str:
    """Hex digest of everything in `file`, which is left rewound."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def make_durable(file: BinaryIO) -> None:
    """Have a local file outlive a power cut; a bucket sees to that itself."""
    file.flush()
    if isinstance(file, LocalFileOpener):
        os.fsync(file.fileno())


class BlobStore(Protocol):
    """Where the bytes of media lie."""

    def put(self, project: ProjectId, content_hash: str, file: BinaryIO) -> None:
        """Store `file` under its hash, unless it is there already."""

    def get(self, project: ProjectId, content_hash: str) -> bytes:
        """The bytes; raises FileNotFoundError."""

    def open(self, project: ProjectId, content_hash: str) -> BinaryIO:
        """The bytes as a file to be read and closed; raises FileNotFoundError."""

    def delete(self, project: ProjectId, content_hash: str) -> None:
        """Remove the bytes, if they are there."""

    def older_than(self, project: ProjectId, prefix: str, age_s: float) -> list[str]:
        """Contents of a project, of those with a prefix of two digits, that were stored so long ago."""

    def delete_old(self, project: ProjectId, name: str, age_s: float) -> bool:
        """Remove what `older_than` has found, unless it has been stored again meanwhile; whether it is gone."""


class FsspecBlobStore:
    """A folder or a bucket, by any URL that fsspec knows (`file://…`, `s3://…`)."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def _path(self, project: ProjectId, content_hash: str) -> str:
        return f"{self._root}/{project}/{content_hash[:2]}/{content_hash}"

    def put(self, project: ProjectId, content_hash: str, file: BinaryIO) -> None:
        """Write beside and rename: a reader or a crash never meets half a blob."""
        path = self._path(project, content_hash)
        if self._is_young(path):
            return
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        with self._fs.open(partial, "wb") as out:
            shutil.copyfileobj(file, out, CHUNK_BYTES)
            make_durable(out)
        self._fs.mv(partial, path)

    def _is_young(self, path: str) -> bool:
        """Whether a blob is there and young, or could be made so: an old one may just be on its way out."""
        try:
            modified = self._fs.modified(path).timestamp()
        except FileNotFoundError:
            return False
        except NotImplementedError:
            # Of such a store nothing is ever old (`older_than`).
            return bool(self._fs.exists(path))
        if modified > time.time() - YOUNG_S:
            return True
        if not isinstance(self._fs, LocalFileSystem):
            return False
        try:
            os.utime(path)
            # It may have been moved away between the look-up of its name and the change of its time (`delete_old`).
            os.stat(path)
        except FileNotFoundError:
            return False
        return True

    def get(self, project: ProjectId, content_hash: str) -> bytes:
        """Read the whole blob; uploads are bounded, so it fits."""
        data: bytes = self._fs.cat_file(self._path(project, content_hash))
        return data

    def open(self, project: ProjectId, content_hash: str) -> BinaryIO:
        """Open for reading, without holding it in memory."""
        file: BinaryIO = self._fs.open(self._path(project, content_hash), "rb")
        return file

    def delete(self, project: ProjectId, content_hash: str) -> None:
        """Remove one blob; to be called only for names that no item has."""
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(project, content_hash))

    def older_than(self, project: ProjectId, prefix: str, age_s: float) -> list[str]:
        """Contents of a project, of those with a prefix of two digits, that were stored so long ago."""
        latest = time.time() - age_s
        folder = f"{self._root}/{project}/{prefix}"
        # What a bucket's client remembers of an earlier look says nothing of what has been stored since.
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(folder, detail=True)
        except FileNotFoundError:
            return []
        old = [entry["name"] for entry in entries if _modified_s(entry) < latest]
        return [name.rpartition("/")[2] for name in old]

    def delete_old(self, project: ProjectId, name: str, age_s: float) -> bool:
        """Remove what `older_than` has found, unless it has been stored again meanwhile; whether it is gone."""
        path = f"{self._root}/{project}/{name[:2]}/{name}"
        if not isinstance(self._fs, LocalFileSystem):
            self._fs.invalidate_cache()
            if _modified_s(self._fs.info(path)) >= time.time() - age_s:
                return False
            self._fs.rm_file(path)
            return True
        # Out of the way first: whoever stores it now writes it anew, and whoever did a moment ago gets it back.
        aside = f"{path}.{uuid.uuid4().hex}.partial"
        with contextlib.suppress(FileNotFoundError):
            os.rename(path, aside)
            if os.stat(aside).st_mtime >= time.time() - age_s:
                os.rename(aside, path)
                return False
            os.unlink(aside)
        return True


def _modified_s(entry: Mapping[str, Any]) -> float:
    """Seconds since 1970, from what a file system says of a file; never, if it does not say."""
    when = entry.get("mtime", entry.get("LastModified"))
    if isinstance(when, datetime):
        return when.timestamp()
    return float(when) if isinstance(when, int | float) else math.inf


class MemoryBlobStore:
    """The twin for unit tests."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[ProjectId, str], bytes] = {}

    def put(self, project: ProjectId, content_hash: str, file: BinaryIO) -> None:
        """Keep the bytes."""
        self.blobs.setdefault((project, content_hash), file.read())

    def get(self, project: ProjectId, content_hash: str) -> bytes:
        """The bytes; raises FileNotFoundError."""
        try:
            return self.blobs[(project, content_hash)]
        except KeyError:
            raise FileNotFoundError(content_hash) from None

    def open(self, project: ProjectId, content_hash: str) -> BinaryIO:
        """The bytes as a file; raises FileNotFoundError."""
        return BytesIO(self.get(project, content_hash))

    def delete(self, project: ProjectId, content_hash: str) -> None:
        """Let go of the bytes."""
        self.blobs.pop((project, content_hash), None)

    def older_than(self, project: ProjectId, prefix: str, age_s: float) -> list[str]:
        """Everything: it does not know when."""
        return [content for owner, content in self.blobs if owner == project and content.startswith(prefix)]

    def delete_old(self, project: ProjectId, name: str, age_s: float) -> bool:
        """Let go of the bytes."""
        self.delete(project, name)
        return True
