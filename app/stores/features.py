"""Hidden states on disk: immutable safetensors shards, fp16 [rows, layers, width], written once and read by row."""

import os
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

from app.core.types import ProjectId

TENSOR = "states"


class FeatureStore:
    """Shards of pooled per-layer hidden states below one folder.

    A shard appears under its name only when it is complete, and never changes afterwards; which row belongs to which
    content is kept in PostgreSQL.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, project: ProjectId, fingerprint: str, states: NDArray[np.float16]) -> str:
        """Store states [rows, layers, width] as one new shard and return its name."""
        name = f"{project}/{fingerprint[:16]}/{uuid.uuid4().hex}.safetensors"
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file({TENSOR: np.ascontiguousarray(states)}, partial)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
        return name

    def read_into(
        self, out: NDArray[np.float16], shards: Sequence[str], shard_rows: Sequence[int]
    ) -> NDArray[np.float16]:
        """Fill out [n, layers, width] with the named rows; each shard is mapped once."""
        if not shards:
            return out
        order = np.argsort(np.asarray(shards), kind="stable")
        names = np.asarray(shards)[order]
        starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
        for start, stop in zip(starts, [*starts[1:], len(names)], strict=True):
            positions = order[start:stop]
            with safe_open(self._root / str(names[start]), framework="np") as shard:
                states = shard.get_tensor(TENSOR)
            out[positions] = states[[shard_rows[position] for position in positions]]
        return out

    def touch(self, name: str) -> None:
        """Make a shard young again: it is deleted a while after nobody needs it."""
        with suppress(FileNotFoundError):
            os.utime(self._root / name)

    def older_than(self, project: ProjectId, prefix: str, age_s: float) -> list[str]:
        """Shards of a project, complete or left half-written, that were written so long ago; of those with a prefix."""
        latest = time.time() - age_s
        found = (self._root / str(project)).glob(f"*/{prefix}*")
        return [str(path.relative_to(self._root)) for path in found if path.stat().st_mtime < latest]

    def delete(self, name: str) -> None:
        """Remove a shard that no row names any more."""
        (self._root / name).unlink(missing_ok=True)
