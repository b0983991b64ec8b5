"""What encoders make of media, kept in a folder by content, so that no medium is ever encoded twice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class ArrayCache:
    """Arrays by the sha256 of what they were made of: `FOLDER/ab/abcd….npy`.

    Args:
        folder: of one encoder, named by its fingerprint or by what decides how it decodes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, content: str) -> Path:
        """Returns where the array of a content lies, or would lie."""
        return self._folder / content[:2] / f"{content}.npy"

    def missing(self, contents: Iterable[str]) -> set[str]:
        """Returns the contents that have no array yet."""
        return {content for content in contents if not self.path(content).is_file()}

    def put(self, content: str, array: NDArray[np.generic]) -> None:
        """Keeps an array; a process that is killed meanwhile leaves nothing that could be taken for one."""
        path = self.path(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{content}-{os.getpid()}")
        with scratch.open("wb") as file:
            np.save(file, array)
        scratch.replace(path)

    def stack(self, contents: Sequence[str]) -> NDArray[np.float16]:
        """Returns the arrays of n contents as one, [n, …]."""
        arrays: NDArray[np.float16] = np.stack([np.load(self.path(content)) for content in contents])
        return arrays
