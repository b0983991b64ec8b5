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
    """Samples that lie in `.npy` files, a text as an array of no dimension, and are read when they are asked for.

    Attributes:
        paths: one file for each, in order.
    """

    paths: Sequence[Path]

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> ArrayFiles: ...

    def __getitem__(self, index: int | slice) -> Sample | ArrayFiles:
        """Reads one sample, or returns some of them unread."""
        if isinstance(index, slice):
            return ArrayFiles(self.paths[index])
        stored: NDArray[Any] = np.load(self.paths[index], allow_pickle=False)
        return str(stored) if stored.dtype.kind == "U" else stored


def save_dataset(dataset: Dataset, folder: Path) -> None:
    """Writes a dataset into a folder of its own; a folder that is there already is replaced at the end.

    States that are mapped from a whole `.npy` file, and media that are `ArrayFiles`, are linked to where the file
    system can do so, and copied elsewhere: such files must not be changed any more.

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
        _save_states(table.states, folder / f"features-{number}.npy")
        np.save(folder / f"features-{number}-rows.npy", table.row_of_item)


def _save_states(states: NDArray[np.float16], path: Path) -> None:
    source = _mapped_from(states)
    if source is None:
        np.save(path, states)
    else:
        _link(source, path)


def _mapped_from(states: NDArray[np.float16]) -> Path | None:
    """Returns the `.npy` file that the array is all of, read-only; None if it is another's part, or in memory."""
    if not isinstance(states, np.memmap) or states.filename is None or states.mode != "r":
        return None
    path = Path(states.filename)
    try:
        same = (states.shape, False, states.dtype) == _header(path)
    except (OSError, ValueError):
        return None
    return path if same and states.flags.c_contiguous else None


def _save_samples(samples: Sequence[Sample], folder: Path) -> None:
    """Links files; writes texts as one JSON list, arrays as a file each, whose name is their number."""
    paths = (folder / f"{number:07d}.npy" for number in range(len(samples)))
    if isinstance(samples, ArrayFiles):
        folder.mkdir()
        for source, path in zip(samples.paths, paths, strict=True):
            _link(source, path)
    elif len(samples) and isinstance(samples[0], str):
        folder.with_suffix(".json").write_text(json.dumps(list(samples), ensure_ascii=False), encoding="utf-8")
    else:
        folder.mkdir()
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
    shape, *_ = _header(path)
    array: NDArray[np.float16] = np.load(path, mmap_mode=None if 0 in shape else "r")
    return array


def _header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Returns the shape of an array in a file, whether it lies there column by column, and its type."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        header: tuple[tuple[int, ...], bool, np.dtype[Any]] = np.lib.format.read_array_header_1_0(file)
    return header


def _media(folder: Path, specs: Sequence[dict[str, Any]]) -> Iterator[MediaTable]:
    for number, spec in enumerate(specs):
        texts, arrays = folder / f"media-{number}.json", folder / f"media-{number}"
        samples: Sequence[Sample] = (
            json.loads(texts.read_text(encoding="utf-8")) if texts.is_file() else ArrayFiles(sorted(arrays.iterdir()))
        )
        yield MediaTable(EncoderSpec.from_dict(spec), samples, np.load(folder / f"media-{number}-rows.npy"))
