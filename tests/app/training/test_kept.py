"""The data of a training's first attempt are those of every other one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.training.cut import DataCut
from app.training.kept import kept_cut
from app.training.repository import CutItem
from model.data.dataset import Dataset, FeatureTable, MediaTable, interactions_of
from model.data.saved import ArrayFiles
from model.encoders.spec import EncoderSpec

ITEMS = [CutItem(7, "ä", "key"), CutItem(9, "b", "")]


def reading(mark: int, seen: list[Path], meanwhile: Callable[[], Any] = lambda: None) -> Callable[[Path], DataCut]:
    """Reads a cut whose states are all `mark`, as `read_cut` does: into files of the folder that it is given."""

    def read(scratch: Path) -> DataCut:
        seen.append(scratch)
        np.save(scratch / "text.npy", np.full((1, 2, 3), mark, np.float16))
        np.save(scratch / "sample.npy", "words")
        rows = np.array([0, -1], np.int32)
        states = FeatureTable("text", np.load(scratch / "text.npy", mmap_mode="r"), rows)
        media = MediaTable(EncoderSpec("text", "somewhere"), ArrayFiles([scratch / "sample.npy"]), rows)
        meanwhile()
        dataset = Dataset(2, [states], interactions_of([[0, 1]], [[5, 6]]), [media])
        return DataCut(dataset, ITEMS, {"text": "abc"}, {"items": 2, "until": None})

    return read


def mark_of(cut: DataCut) -> int:
    """Which reading it is from; that the rest of it is as it was read is asserted on the way."""
    assert cut.items == ITEMS
    assert cut.encoders == {"text": "abc"}
    assert cut.summary == {"items": 2, "until": None}
    assert list(cut.dataset.media[0].samples) == ["words"]
    times = cut.dataset.interactions.times
    assert times is not None
    assert times.tolist() == [5, 6]
    return int(cut.dataset.features[0].states[0, 0, 0])


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_it_is_read_once(tmp_path: Path) -> None:
    seen: list[Path] = []
    first = kept_cut(tmp_path, reading(1, seen))
    assert names(tmp_path) == ["cut"]
    assert mark_of(first) == mark_of(kept_cut(tmp_path, reading(2, seen))) == 1
    assert len(seen) == 1


def test_large_files_are_not_copied(tmp_path: Path) -> None:
    inodes: list[int] = []
    seen: list[Path] = []

    def note() -> None:
        inodes.extend((seen[0] / name).stat().st_ino for name in ("text.npy", "sample.npy"))

    kept_cut(tmp_path, reading(1, seen, note))
    kept = [tmp_path / "cut" / "dataset" / name for name in ("features-0.npy", "media-0/0000000.npy")]
    assert [path.stat().st_ino for path in kept] == inodes


def test_a_reading_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def crash() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_cut(tmp_path, reading(1, [], crash))
    assert names(tmp_path) == []
    assert mark_of(kept_cut(tmp_path, reading(2, []))) == 2


def test_of_two_attempts_that_read_at_the_same_time_the_first_to_end_counts(tmp_path: Path) -> None:
    slow = kept_cut(tmp_path, reading(1, [], lambda: kept_cut(tmp_path, reading(2, []))))
    assert mark_of(slow) == 2
    assert names(tmp_path) == ["cut"]


@pytest.mark.parametrize("name", ["facts.json", "dataset/dataset.json", "dataset/features-0.npy"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"{}")])
def test_a_cut_that_cannot_be_read_is_read_anew(tmp_path: Path, name: str, damage: Callable[[Path], Any]) -> None:
    kept_cut(tmp_path, reading(1, []))
    damage(tmp_path / "cut" / name)
    assert mark_of(kept_cut(tmp_path, reading(2, []))) == 2
