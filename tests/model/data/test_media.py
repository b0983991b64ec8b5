"""Raw media, batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from model.data import media
from model.data.dataset import Dataset, FeatureTable, MediaTable, TrainingDataError, interactions_of
from model.data.media import LazyMedia, MediaInputs
from model.encoders.decode import Sample
from model.encoders.parts import Batch
from model.encoders.spec import EncoderSpec

TEXTS = ["eee", "a", "dd", "ccc", "b"]
ROWS = np.array([2, -1, 0, 4, 2, 1, 3], np.int32)


@dataclass
class Letters:
    """A frontend that gives lengths."""

    def bucket(self, sample: Sample) -> int:
        return 0

    def size(self, sample: Sample) -> int:
        return len(sample)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        return Batch({"lengths": torch.tensor([len(sample) for sample in samples])})


class Counting(list[str]):
    """Samples that say which were read."""

    def __init__(self, samples: Sequence[str]) -> None:
        super().__init__(samples)
        self.read: list[int] = []

    def __getitem__(self, row: Any) -> Any:
        self.read.append(row)
        return super().__getitem__(row)


def dataset(samples: Sequence[Sample] = TEXTS, rows: np.ndarray = ROWS) -> Dataset:
    states = FeatureTable("text", np.zeros((5, 2, 4), np.float16), ROWS)
    table = MediaTable(EncoderSpec("text", "x", batch_size=2), samples, rows)
    return Dataset(len(ROWS), [states], interactions_of([[0, 1]]), [table])


def gather(samples: Sequence[Sample], items: list[int]) -> tuple[torch.Tensor, LazyMedia]:
    present, lazy = MediaInputs(dataset(samples), [Letters()], device="cpu").gather(torch.tensor(items))
    assert isinstance(present, torch.Tensor)
    assert isinstance(lazy, LazyMedia)
    return present, lazy


def test_each_medium_is_read_once_and_in_batches_of_like_length() -> None:
    samples = Counting(TEXTS)
    present, lazy = gather(samples, [0, 1, 2, 3, 4, 6])
    assert samples.read == [], "nothing is read before it is needed"
    assert present.tolist() == [[True], [False], [True], [True], [True], [True]]
    found = [(numbers, batch.inputs["lengths"].tolist()) for numbers, batch in lazy]
    # Rows 0, 2, 3, 4 in ascending order are "eee", "dd", "ccc", "b".
    assert found == [([3, 1], [1, 2]), ([0, 2], [3, 3])]
    assert lazy.place.tolist() == [1, -1, 0, 3, 1, 2]
    assert sorted(samples.read) == [0, 2, 3, 4]


def test_only_a_few_batches_of_samples_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "BATCHES_AT_ONCE", 1)
    samples = Counting(TEXTS)
    _, lazy = gather(samples, [0, 2, 3, 6])
    read = [(numbers, list(samples.read)) for numbers, _ in lazy]
    assert read == [([1, 0], [0, 2]), ([3, 2], [0, 2, 3, 4])]


def test_items_without_any() -> None:
    _, lazy = gather(TEXTS, [1])
    assert list(lazy) == []
    assert lazy.place.tolist() == [-1]


def test_missing_media_are_named() -> None:
    with pytest.raises(TrainingDataError, match="needs the text media"):
        MediaInputs(replace(dataset(), media=[]), [Letters()], device="cpu")
    with pytest.raises(TrainingDataError, match="2 items have text media or states, but not both"):
        MediaInputs(dataset(rows=np.array([2, 0, -1, 4, 2, 1, 3], np.int32)), [Letters()], device="cpu")
