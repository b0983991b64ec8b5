"""The zip runs where neither this service nor torch is, and is never whole in memory."""

import hashlib
import io
import json
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np

from app.models.download import CHUNK_BYTES, zip_chunks
from model.artifact import load_item_vectors
from model.runtime import UserEncoder
from tests.fixtures.service import Service

ALONE = """
import importlib.abc, runpy, sys
class Forbid(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "app", "model", "worker", "safetensors", "sqlalchemy"}:
            raise AssertionError(f"{name} is imported")
sys.meta_path.insert(0, Forbid())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(folder: Path, *items: str) -> list[str]:
    """The example, with the current folder elsewhere and nothing of this service on its path."""
    command = [sys.executable, "-I", "-c", ALONE, str(folder / "example.py"), *items]
    found = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr
    return [line.split()[0] for line in found.stdout.splitlines()]


def test_it_recommends_with_onnxruntime_and_numpy_alone(trained: Service, tmp_path: Path) -> None:
    answer = trained.client.get("/admin/models/v1/download")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="crossan-v1.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    folder = tmp_path / "crossan-v1"
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, expected in manifest["checksums"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected
    assert {path.name for path in folder.iterdir()} == {
        *manifest["checksums"],
        "manifest.json",
        "example.py",
        "README.txt",
    }
    assert len((folder / "example.py").read_text().splitlines()) <= 25
    history = ["i4", "i0", "i6"]
    ids, vectors, _ = load_item_vectors(folder)
    rows = [ids.index(item) for item in history]
    (user,) = UserEncoder(folder).encode(vectors[rows][None], np.array([3]))
    scores = vectors @ user
    scores[rows] = -np.inf
    assert run(folder, *history) == [ids[row] for row in np.argsort(-scores)[:10]]
    assert len(run(folder)) == 10


def test_it_is_sent_in_pieces(tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    size = 24 * CHUNK_BYTES
    with (folder / "big.bin").open("wb") as file:
        file.truncate(size)
    (folder / "empty").touch()
    total, largest = 0, 0
    tracemalloc.start()
    for chunk in zip_chunks(folder, "v1"):
        total += len(chunk)
        largest = max(largest, len(chunk))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > size
    assert largest < 2 * CHUNK_BYTES
    assert peak < size / 3


def test_it_is_a_sound_zip(tmp_path: Path) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / "a.bin").write_bytes(bytes(range(256)) * 10_000)
    (folder / "empty").touch()
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_chunks(folder, "v2")))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"crossan-v2/{name}" for name in ("README.txt", "example.py", "a.bin", "empty")]
        assert archive.read("crossan-v2/a.bin") == (folder / "a.bin").read_bytes()
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
