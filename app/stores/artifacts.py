"""Published model versions: folders that appear whole and never change."""

import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from app.core.types import ProjectId

LEFTOVER_S = 7 * 86_400.0
KEPT = ".partial-kept-"


class ArtifactStore:
    """Artifact folders below one root, shared by API and workers."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def new_folder(self, project: ProjectId) -> Path:
        """An empty scratch folder on the same file system, so that publishing is a rename.

        Folders that killed workers have left behind are removed once they are a week old.
        """
        parent = self._root / str(project)
        for leftover in parent.glob(".partial-*"):
            if leftover.stat().st_mtime < time.time() - LEFTOVER_S:
                self.discard(leftover)
        folder = parent / f".partial-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        return folder

    def kept_folder(self, project: ProjectId, name: str) -> Path:
        """A scratch folder that whoever asks by the same name gets again; it is to be discarded in the end."""
        folder = self._root / str(project) / f"{KEPT}{name}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def kept_folders(self) -> Iterator[tuple[str, Path]]:
        """Every kept folder of every project, after its name."""
        for folder in self._root.glob(f"*/{KEPT}*"):
            yield folder.name.removeprefix(KEPT), folder

    def discard(self, folder: Path) -> None:
        """Remove a scratch folder; nothing if it has been published."""
        shutil.rmtree(folder, ignore_errors=True)

    def publish(self, project: ProjectId, name: str, folder: Path) -> str:
        """Move a finished folder to its place and return its relative path; a leftover of a dead run is replaced."""
        target = self._root / str(project) / name
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
        return f"{project}/{name}"

    def size_bytes(self, artifact: str) -> int:
        """What a published artifact takes on disk; 0 when it is gone."""
        folder = self.path(artifact)
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if folder.is_dir() else 0

    def published_before(self, project: ProjectId, age_s: float) -> list[str]:
        """Artifacts whose folders were written so long ago."""
        latest = time.time() - age_s
        found = (self._root / str(project)).glob("[!.]*")
        return [f"{project}/{path.name}" for path in found if path.stat().st_mtime < latest]

    def path(self, artifact: str) -> Path:
        """The folder of a published artifact."""
        return self._root / artifact
