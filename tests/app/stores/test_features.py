from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.types import ProjectId
from app.stores.features import FeatureStore

PROJECT = ProjectId(7)
SHAPE = (3, 4)


def states(rows: int, seed: int) -> NDArray[np.float16]:
    return np.random.default_rng(seed).standard_normal((rows, *SHAPE)).astype(np.float16)


def test_rows_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    written = [states(5, seed) for seed in range(4)]
    names = [store.write(PROJECT, "f" * 64, one) for one in written]
    rng = np.random.default_rng(9)
    shards, rows = rng.integers(0, 4, 60), rng.integers(0, 5, 60)
    out = np.empty((60, *SHAPE), np.float16)
    store.read_into(out, [names[shard] for shard in shards], rows.tolist())
    np.testing.assert_array_equal(out, np.stack([written[s][r] for s, r in zip(shards, rows, strict=True)]))


def test_no_rows_are_no_trouble(tmp_path: Path) -> None:
    out = np.empty((0, *SHAPE), np.float16)
    assert FeatureStore(tmp_path).read_into(out, [], []).shape == (0, *SHAPE)


def test_what_is_not_contiguous_is_written_right(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    odd = states(6, 0)[::2]
    out = np.empty_like(odd)
    store.read_into(out, [store.write(PROJECT, "f", odd)] * 3, [0, 1, 2])
    np.testing.assert_array_equal(out, odd)


def test_shards_never_share_a_name_and_stay_below_their_project(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    names = {store.write(PROJECT, "f" * 64, states(1, 0)) for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("7/ffffffffffffffff/") for name in names)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == sorted(names)


def test_deleting_twice_is_no_error(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    name = store.write(PROJECT, "f", states(1, 0))
    store.delete(name)
    store.delete(name)
    with pytest.raises(FileNotFoundError):
        store.read_into(np.empty((1, *SHAPE), np.float16), [name], [0])
