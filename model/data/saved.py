"""A dataset as a folder: arrays are memory-mapped, media are read one by one, so that processes share the pages."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from model.data.dataset import Dataset, FeatureTable, Interactions, MediaTable, TrainingDataError
from model.encoders.decode import Sample
from model.encoders.spec import EncoderSpec

INDEX = "dataset.json"
FORMAT = 1
"""Raise it when a folder of the form before cannot be read any more."""


@dataclass(frozen=True)
class ArrayFiles(Sequence[Sample]):
    """Arrays that lie in `.npy` files and are read when they are asked for.

    Attributes:
        paths: one file for each, in order.
    """

    paths: Sequence[Path]

    def __len__(self) -> int:
        """Returns the number of arrays."""
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> ArrayFiles: ...

    def __getitem__(self, index: int | slice) -> Sample | ArrayFiles:
        """Reads one array, or returns some of them unread."""
        if isinstance(index, slice):
            return ArrayFiles(self.paths[index])
        return np.load(self.paths[index])


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Writes a dataset into a folder of its own; a folder that is there already is replaced at the end.

    Media that are `ArrayFiles` are linked to where the file system can do so, and copied elsewhere.

    Args:
        dataset: what to write; an interrupted call leaves no folder of this name.
        folder: its parent must exist.
    """
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        index = {
            "format": FORMAT,
            "item_count": dataset.item_count,
            "features": [table.modality for table in dataset.features],
            "media": [table.spec.to_dict() for table in dataset.media],
            "has_times": dataset.interactions.times is not None,
        }
        _save_arrays(dataset, scratch)
        for number, media in enumerate(dataset.media):
            np.save(scratch / f"media-{number}-rows.npy", media.row_of_item)
            _save_samples(media.samples, scratch / f"media-{number}")
        (scratch / INDEX).write_text(json.dumps(index))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.chmod(0o755)
        os.replace(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _save_arrays(dataset: Dataset, folder: Path) -> None:
    events = dataset.interactions
    np.save(folder / "offsets.npy", events.offsets)
    np.save(folder / "items.npy", events.items)
    if events.times is not None:
        np.save(folder / "times.npy", events.times)
    for number, table in enumerate(dataset.features):
        np.save(folder / f"features-{number}.npy", table.states)
        np.save(folder / f"features-{number}-rows.npy", table.row_of_item)


def _save_samples(samples: Sequence[Sample], folder: Path) -> None:
    """Writes texts as one JSON list, arrays as a file each; the index of arrays is their number."""
    if len(samples) and isinstance(samples[0], str):
        folder.with_suffix(".json").write_text(json.dumps(list(samples), ensure_ascii=False), encoding="utf-8")
        return
    folder.mkdir()
    paths = (folder / f"{number:07d}.npy" for number in range(len(samples)))
    if isinstance(samples, ArrayFiles):
        for source, path in zip(samples.paths, paths, strict=True):
            _link(source, path)
        return
    for number, path in enumerate(paths):
        np.save(path, samples[number])


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def load_dataset(folder: Path) -> Dataset:
    """Opens a dataset that `save_dataset` has written; nothing large is read before it is used.

    Raises:
        TrainingDataError: the folder does not hold one.
    """
    index = _index(folder)
    features = [
        FeatureTable(name, _mapped(folder / f"features-{number}.npy"), np.load(folder / f"features-{number}-rows.npy"))
        for number, name in enumerate(index["features"])
    ]
    times = np.load(folder / "times.npy") if index["has_times"] else None
    events = Interactions(np.load(folder / "offsets.npy"), np.load(folder / "items.npy"), times)
    return Dataset(index["item_count"], features, events, list(_media(folder, index["media"])))


def _index(folder: Path) -> dict[str, Any]:
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError) as error:
        raise TrainingDataError(f"{folder} holds no saved dataset: {error}") from error
    if index.get("format") != FORMAT:
        raise TrainingDataError(f"{folder} is of format {index.get('format')}, not {FORMAT}")
    return index


def _mapped(path: Path) -> NDArray[np.float16]:
    """Maps an array read-only; one without elements cannot be mapped and is read."""
    array: NDArray[np.float16] = np.load(path, mmap_mode=None if 0 in _shape(path) else "r")
    return array


def _shape(path: Path) -> tuple[int, ...]:
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape: tuple[int, ...] = np.lib.format.read_array_header_1_0(file)[0]
    return shape


def _media(folder: Path, specs: Sequence[dict[str, Any]]) -> Iterator[MediaTable]:
    for number, spec in enumerate(specs):
        texts, arrays = folder / f"media-{number}.json", folder / f"media-{number}"
        samples: Sequence[Sample] = (
            json.loads(texts.read_text(encoding="utf-8")) if texts.is_file() else ArrayFiles(sorted(arrays.iterdir()))
        )
        yield MediaTable(EncoderSpec.from_dict(spec), samples, np.load(folder / f"media-{number}-rows.npy"))
