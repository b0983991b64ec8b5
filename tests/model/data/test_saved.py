import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.dataset import Dataset, FeatureTable, MediaTable, TrainingDataError, interactions_of
from model.data.saved import ArrayFiles, load_dataset, save_dataset
from model.encoders.spec import EncoderSpec


def small_dataset() -> Dataset:
    rng = np.random.default_rng(0)
    text = FeatureTable("text", rng.random((2, 3, 4)).astype(np.float16), np.array([0, -1, 1], np.int32))
    image = FeatureTable("image", rng.random((1, 2, 5)).astype(np.float16), np.array([-1, 0, -1], np.int32))
    pictures = [rng.integers(0, 255, (4, 6, 3)).astype(np.uint8)]
    media = [
        MediaTable(EncoderSpec("text", "somewhere", max_tokens=7), ["Žluťoučký", "two"], text.row_of_item),
        MediaTable(EncoderSpec("image", "elsewhere"), pictures, image.row_of_item),
    ]
    events = interactions_of([[0, 1], [], [2]], [[5, 6], [], [7]])
    return Dataset(3, [text, image], events, media)


def assert_same(found: Dataset, expected: Dataset) -> None:
    assert found.item_count == expected.item_count
    for name in ("offsets", "items", "times"):
        one, other = getattr(found.interactions, name), getattr(expected.interactions, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
    for mine, yours in zip(found.features, expected.features, strict=True):
        assert mine.modality == yours.modality
        assert mine.states.dtype == np.float16
        np.testing.assert_array_equal(mine.states, yours.states)
        np.testing.assert_array_equal(mine.row_of_item, yours.row_of_item)
    for table, other_table in zip(found.media, expected.media, strict=True):
        assert table.spec == other_table.spec
        np.testing.assert_array_equal(table.row_of_item, other_table.row_of_item)
        assert len(table.samples) == len(other_table.samples)
        for sample, other_sample in zip(table.samples, other_table.samples, strict=True):
            np.testing.assert_array_equal(sample, other_sample)


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    save_dataset(small_dataset(), tmp_path / "data")
    found = load_dataset(tmp_path / "data")
    assert_same(found, small_dataset())
    assert isinstance(found.features[0].states, np.memmap)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_saving_again_replaces_and_links_arrays_that_are_files(tmp_path: Path) -> None:
    save_dataset(small_dataset(), tmp_path / "first")
    again = load_dataset(tmp_path / "first")
    save_dataset(again, tmp_path / "second")
    save_dataset(again, tmp_path / "second")
    assert_same(load_dataset(tmp_path / "second"), small_dataset())
    for linked in ("media-1/0000000.npy", "features-0.npy", "features-1.npy"):
        assert (tmp_path / "second" / linked).samefile(tmp_path / "first" / linked), linked


def _changed(states: np.memmap[Any, Any]) -> Any:
    return np.stack(list(states))


@pytest.mark.parametrize(
    "other", [_changed, lambda states: states[::-1], lambda states: states[:1], lambda states: states + np.float16(1)]
)
def test_states_that_are_not_the_whole_file_are_written(tmp_path: Path, other: Callable[[Any], Any]) -> None:
    save_dataset(small_dataset(), tmp_path / "first")
    first = load_dataset(tmp_path / "first")
    text = dataclasses.replace(first.features[0], states=other(first.features[0].states))
    if len(text.states) == 1:
        text = dataclasses.replace(text, row_of_item=np.array([0, -1, -1], np.int32))
    changed = dataclasses.replace(first, features=[text, first.features[1]])
    save_dataset(changed, tmp_path / "second")
    assert_same(load_dataset(tmp_path / "second"), changed)
    assert not (tmp_path / "second" / "features-0.npy").samefile(tmp_path / "first" / "features-0.npy")


def test_states_whose_file_is_gone_are_written_from_the_mapping(tmp_path: Path) -> None:
    save_dataset(small_dataset(), tmp_path / "first")
    first = load_dataset(tmp_path / "first")
    first = dataclasses.replace(first, media=[])
    shutil.rmtree(tmp_path / "first")
    save_dataset(first, tmp_path / "second")
    assert_same(load_dataset(tmp_path / "second"), dataclasses.replace(small_dataset(), media=[]))


def test_without_times_media_or_rows(tmp_path: Path) -> None:
    nothing = FeatureTable("text", np.empty((0, 3, 4), np.float16), np.full(2, -1, np.int32))
    plain = Dataset(2, [nothing], interactions_of([[0], [1]]))
    save_dataset(plain, tmp_path / "data")
    found = load_dataset(tmp_path / "data")
    assert_same(found, plain)
    assert found.features[0].states.shape == (0, 3, 4)


def test_array_files_read_only_what_is_asked_for(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.npy" for number in range(3)]
    np.save(paths[1], np.arange(4))
    files = ArrayFiles(paths)
    np.testing.assert_array_equal(files[1:][0], np.arange(4))
    assert len(files[1:]) == 2
    with pytest.raises(FileNotFoundError):
        files[0]


def test_texts_in_files_of_their_own_are_linked_and_read_as_texts(tmp_path: Path) -> None:
    paths = [tmp_path / "b.npy", tmp_path / "a.npy"]
    for path, text in zip(paths, ("grüße", ""), strict=True):
        np.save(path, text)
    dataset = small_dataset()
    texts = dataclasses.replace(dataset.media[0], samples=ArrayFiles(paths))
    save_dataset(dataclasses.replace(dataset, media=[texts]), tmp_path / "data")
    assert list(load_dataset(tmp_path / "data").media[0].samples) == ["grüße", ""]
    assert (tmp_path / "data" / "media-0" / "0000000.npy").samefile(paths[0])


def test_a_folder_that_holds_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="no saved dataset"):
        load_dataset(tmp_path)
    save_dataset(small_dataset(), tmp_path / "data")
    index = tmp_path / "data" / "dataset.json"
    index.write_text(index.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(TrainingDataError, match="format 99"):
        load_dataset(tmp_path / "data")


def test_an_interrupted_save_leaves_nothing(tmp_path: Path) -> None:
    class Unreadable(list[str]):
        def __iter__(self) -> "Unreadable":  # type: ignore[override]
            raise OSError("disk gone")

    dataset = small_dataset()
    broken = MediaTable(dataset.media[0].spec, Unreadable(["a", "b"]), dataset.media[0].row_of_item)
    with pytest.raises(OSError, match="disk gone"):
        save_dataset(Dataset(3, dataset.features, dataset.interactions, [broken]), tmp_path / "data")
    assert list(tmp_path.iterdir()) == []
