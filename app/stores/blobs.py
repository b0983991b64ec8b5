"""Content-addressed media: the same bytes are stored once a project, under their SHA-256."""

import hashlib
import os
import shutil
import uuid
from io import BytesIO
from typing import BinaryIO, Protocol

import fsspec
from fsspec.implementations.local import LocalFileOpener

from app.core.types import ProjectId

CHUNK_BYTES = 1 << 20


def sha256_of(file: BinaryIO) -> str:
    """Hex digest of everything in `file`, which is left rewound."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(CHUNK_BYTES):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _make_durable(file: BinaryIO) -> None:
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


class FsspecBlobStore:
    """A folder or a bucket, by any URL that fsspec knows (`file://…`, `s3://…`)."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def _path(self, project: ProjectId, content_hash: str) -> str:
        return f"{self._root}/{project}/{content_hash[:2]}/{content_hash}"

    def put(self, project: ProjectId, content_hash: str, file: BinaryIO) -> None:
        """Write beside and rename: a reader or a crash never meets half a blob."""
        path = self._path(project, content_hash)
        if self._fs.exists(path):
            return
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        with self._fs.open(partial, "wb") as out:
            shutil.copyfileobj(file, out, CHUNK_BYTES)
            _make_durable(out)
        self._fs.mv(partial, path)

    def get(self, project: ProjectId, content_hash: str) -> bytes:
        """Read the whole blob; uploads are bounded, so it fits."""
        data: bytes = self._fs.cat_file(self._path(project, content_hash))
        return data

    def open(self, project: ProjectId, content_hash: str) -> BinaryIO:
        """Open for reading, without holding it in memory."""
        file: BinaryIO = self._fs.open(self._path(project, content_hash), "rb")
        return file


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
