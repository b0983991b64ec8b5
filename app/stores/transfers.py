"""Files of imports and exports, beside the media in the blob store; a project reaches its own folders only."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from uuid import UUID

import fsspec

from app.core.types import ProjectId
from app.stores.blobs import CHUNK_BYTES, make_durable

IMPORTS, EXPORTS, REJECTS = "imports", "exports", "rejects"
UPLOAD = "upload"
MAX_PATH_CHARACTERS = 1_000


class PathRefused(Exception):
    """A path that does not stay below the folder of the project."""


def checked_path(path: str) -> str:
    """A relative path that stays below its folder; raises PathRefused."""
    parts = PurePosixPath(path).parts
    if (
        not path
        or len(path) > MAX_PATH_CHARACTERS
        or not path.isprintable()
        or set(path) & set("\\*?[]")
        or path != "/".join(parts)
        or any(part in (".", "..") or part.startswith("/") for part in parts)
    ):
        raise PathRefused("must be a relative path of plain names")
    return path


class TransferStore:
    """A folder or a bucket: `imports/<project>/…`, `rejects/<project>/<import>/…` and `exports/<project>/<export>/…`.

    Args:
        url: of the blob store, as fsspec knows it.
    """

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def _path(self, area: str, project: ProjectId, *names: object) -> str:
        return "/".join([self._root, area, str(project), *map(str, names)])

    def save_upload(self, project: ProjectId, file: BinaryIO) -> str:
        """Keep an uploaded file; its path, below the imports of the project."""
        path = f"{UPLOAD}-{uuid.uuid4()}"
        with self._writing(self._path(IMPORTS, project, path)) as out:
            shutil.copyfileobj(file, out, CHUNK_BYTES)
        return path

    def discard_upload(self, project: ProjectId, path: str) -> None:
        """Remove an uploaded file, if it is there."""
        self._remove(self._path(IMPORTS, project, checked_path(path)))

    def import_size(self, project: ProjectId, path: str) -> int:
        """Bytes of a file of an import; raises FileNotFoundError, or PathRefused."""
        where = self._path(IMPORTS, project, checked_path(path))
        self._fs.invalidate_cache()
        try:
            info = self._fs.info(where)
        except NotADirectoryError as error:
            raise FileNotFoundError(path) from error
        if info["type"] != "file":
            raise FileNotFoundError(path)
        return int(info["size"])

    def open_import(self, project: ProjectId, path: str) -> BinaryIO:
        """A file of an import, seekable; raises FileNotFoundError, or PathRefused."""
        file: BinaryIO = self._fs.open(self._path(IMPORTS, project, checked_path(path)), "rb")
        return file

    def write_rejects(self, project: ProjectId, import_id: UUID, line: int, data: bytes) -> None:
        """Keep what is said of the lines from `line` on; the same again replaces it."""
        with self._writing(self._path(REJECTS, project, import_id, f"part-{line:015}.ndjson")) as out:
            out.write(data)

    def read_rejects(self, project: ProjectId, import_id: UUID) -> Iterator[bytes]:
        """Everything that is said of lines, in their order."""
        for path in self._files(self._path(REJECTS, project, import_id)):
            yield self._fs.cat_file(path)

    def write_export(self, project: ProjectId, export_id: UUID, name: str) -> "StoredFile":
        """A new file of an export, which is there once it has been closed whole."""
        return self._writing(self._path(EXPORTS, project, export_id, name))

    def open_export(self, project: ProjectId, export_id: UUID, name: str) -> BinaryIO:
        """A file of an export; raises FileNotFoundError, or PathRefused."""
        file: BinaryIO = self._fs.open(self._path(EXPORTS, project, export_id, checked_path(name)), "rb")
        return file

    def discard(self, project: ProjectId, transfer_id: UUID) -> None:
        """Remove what an import or export has written."""
        for area in (REJECTS, EXPORTS):
            self._remove(self._path(area, project, transfer_id))

    def _files(self, folder: str) -> list[str]:
        self._fs.invalidate_cache()
        if not self._fs.isdir(folder):
            return []
        return sorted(path for path in self._fs.ls(folder, detail=False) if not path.endswith(StoredFile.SUFFIX))

    def _remove(self, path: str) -> None:
        self._fs.invalidate_cache()
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)

    def _writing(self, path: str) -> "StoredFile":
        return StoredFile(self._fs, path)


class StoredFile:
    """A file that is written beside its place and moved there when it is whole, as a context.

    Args:
        fs: the file system.
        path: the place.
    """

    SUFFIX = ".partial"

    def __init__(self, fs: Any, path: str) -> None:
        self._fs = fs
        self._path = path
        self._partial = f"{path}.{uuid.uuid4().hex}{self.SUFFIX}"

    def __enter__(self) -> BinaryIO:
        self._fs.makedirs(self._path.rpartition("/")[0], exist_ok=True)
        file: BinaryIO = self._fs.open(self._partial, "wb")
        self._file = file
        return file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            make_durable(self._file)
        self._file.close()
        if kind is None:
            self._fs.mv(self._partial, self._path)
        else:
            self._fs.rm(self._partial)
