from pathlib import Path

import numpy as np
import pytest
import torch

from model.data.dataset import Dataset, FeatureTable, interactions_of
from model.data.features import NumberInputs, StateInputs


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    np.save(tmp_path / "text.npy", np.arange(2 * 3 * 4, dtype=np.float16).reshape(2, 3, 4))
    text = FeatureTable("text", np.load(tmp_path / "text.npy", mmap_mode="r"), np.array([1, -1, 0], np.int32))
    audio = FeatureTable("audio", np.ones((3, 2, 5), np.float16), np.array([0, 1, 2], np.int32))
    return Dataset(3, [text, audio], interactions_of([[0, 1]]))


@pytest.mark.parametrize("budget_bytes", [0, 10**9])
def test_states_of_the_chosen_layers(dataset: Dataset, budget_bytes: int) -> None:
    inputs = StateInputs(dataset, [[0, 2], [1]], budget_bytes=budget_bytes)
    present, text, audio = inputs.gather(torch.tensor([1, 2, 2, 0]))
    assert present.tolist() == [[False, True], [True, True], [True, True], [True, True]]
    assert text[0].abs().sum() == 0
    # Item 2 is stored row 0, whose layers 0 and 2 hold 0..3 and 8..11; item 0 is row 1, twelve further.
    assert text[1].tolist() == text[2].tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert text[3].tolist() == [[12, 13, 14, 15], [20, 21, 22, 23]]
    assert audio.shape == (4, 1, 5)
    assert text.dtype == torch.float32


@pytest.mark.parametrize("budget_bytes", [0, 10**9])
def test_as_many_items_as_the_catalogue_but_in_another_order(dataset: Dataset, budget_bytes: int) -> None:
    inputs = StateInputs(dataset, [[0], [0]], budget_bytes=budget_bytes)
    assert inputs.gather(torch.tensor([2, 1, 0]))[1][0, 0].tolist() == [0, 1, 2, 3]


def test_numbers_are_themselves() -> None:
    (numbers,) = NumberInputs().gather(torch.tensor([4, 2]))
    assert numbers.tolist() == [4, 2]


def test_states_in_memory_are_changed_once_for_all(dataset: Dataset) -> None:
    inputs = StateInputs(dataset, [[0], [1]])
    assert inputs.rewrite([lambda text: text + 1, lambda audio: 2 * audio])
    present, text, audio = inputs.gather(torch.tensor([2]))
    assert present.tolist() == [[True, True]]
    assert text.tolist() == [[[1, 2, 3, 4]]]
    assert audio.tolist() == [[[2, 2, 2, 2, 2]]]


def test_states_on_disk_stay_as_they_are(dataset: Dataset) -> None:
    inputs = StateInputs(dataset, [[0], [1]], budget_bytes=0)
    assert not inputs.rewrite([torch.neg, torch.neg])
    assert inputs.gather(torch.tensor([2]))[1].tolist() == [[[0, 1, 2, 3]]]
