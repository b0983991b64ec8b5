"""The file that processes map: what was written is there, and what is not whole is refused."""

import os
from pathlib import Path

import numpy as np
import pytest

from app.recommendations import matrix_file
from app.recommendations.matrix_file import PAGE, DamagedMatrix, Matrix, MatrixHeader, map_matrix, new_matrix
from app.recommendations.vectors import ItemVectors

ORIGIN = "here/1/2"
PKS = np.array([3, 5, 8, 13, 21], np.int64)
WIDTH, MODALITIES = 1_025, 2
"""A vector is longer than a page."""


def header(rows: int = len(PKS), *, capacity: int = 12) -> MatrixHeader:
    return MatrixHeader(ORIGIN, start=77, rows=rows, capacity=capacity, width=WIDTH, modalities=MODALITIES)


def vector(pk: int) -> np.ndarray:
    return np.arange(WIDTH, dtype=np.float32) + pk


def share(pk: int) -> np.ndarray:
    return np.array([pk, 1 - pk], np.float32)


def fill(matrix: Matrix, *pks: int) -> None:
    numbers = np.array(pks, np.int64)
    matrix.put(numbers, np.stack([vector(pk) for pk in pks]), np.stack([share(pk) for pk in pks]))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with vectors of the items 5 and 21."""
    made = tmp_path / "1" / "2.matrix"
    with new_matrix(made, header(), PKS) as matrix:
        fill(matrix, 21, 999, 5)
    return made


def test_what_was_written_is_mapped(path: Path) -> None:
    found = map_matrix(path, origin=ORIGIN)
    assert found.start == 77
    assert found.pks.tolist() == PKS.tolist()
    assert np.flatnonzero(found.arrays.present).tolist() == [1, 4]
    np.testing.assert_array_equal(found.arrays.values[4], vector(21))
    np.testing.assert_array_equal(found.arrays.shares[1], share(5))
    assert not found.arrays.values[[0, 2, 3]].any()
    assert [len(array) for array in found.arrays.all] == [12, 12, 12]
    assert [one.name for one in path.parent.iterdir()] == ["2.matrix"]


def test_room_takes_no_disk(tmp_path: Path) -> None:
    path = tmp_path / "1.matrix"
    with new_matrix(path, header(capacity=10_000), PKS):
        pass
    assert path.stat().st_size > 10_000 * WIDTH * 4
    assert path.stat().st_blocks * 512 < 100 * PAGE


def test_what_one_process_writes_is_not_seen_by_another_nor_kept(path: Path) -> None:
    ours, theirs = map_matrix(path, origin=ORIGIN), map_matrix(path, origin=ORIGIN)
    ours.arrays.values[1] = 7
    ours.arrays.present[11] = True
    for other in (theirs, map_matrix(path, origin=ORIGIN)):
        np.testing.assert_array_equal(other.arrays.values[1], vector(5))
        assert not other.arrays.present[11]


def test_vectors_grow_within_the_room_and_beyond_it(path: Path) -> None:
    matrix = map_matrix(path, origin=ORIGIN)
    vectors = ItemVectors(width=WIDTH, modalities=("a", "b"), arrays=matrix.arrays)
    vectors.extend(12)
    assert np.shares_memory(vectors.values, matrix.arrays.values)
    vectors.extend(13)
    assert not np.shares_memory(vectors.values, matrix.arrays.values)
    np.testing.assert_array_equal(vectors.values[4], vector(21))
    assert np.flatnonzero(vectors.present).tolist() == [1, 4]


def test_a_catalogue_that_begins_with_its_items_takes_the_memory_itself(path: Path) -> None:
    matrix = map_matrix(path, origin=ORIGIN)
    assert matrix.in_rows_of(np.append(PKS, 34)) is matrix.arrays
    assert matrix.in_rows_of(PKS) is matrix.arrays


@pytest.mark.parametrize("pks", [[5, 3, 8, 13, 21], [3, 5, 8, 13], [21, 2, 5], [], [1, 2]])
def test_a_catalogue_in_another_order_gathers(path: Path, pks: list[int]) -> None:
    found = map_matrix(path, origin=ORIGIN).in_rows_of(np.array(pks, np.int64))
    assert found.present.tolist() == [pk in (5, 21) for pk in pks]
    for row, pk in enumerate(pks):
        np.testing.assert_array_equal(found.values[row], vector(pk) if pk in (5, 21) else np.zeros(WIDTH))
        np.testing.assert_array_equal(found.shares[row], share(pk) if pk in (5, 21) else np.zeros(MODALITIES))


def test_a_matrix_without_items(tmp_path: Path) -> None:
    path = tmp_path / "1.matrix"
    with new_matrix(path, header(0, capacity=1), np.zeros(0, np.int64)) as matrix:
        fill(matrix, 5)
    found = map_matrix(path, origin=ORIGIN)
    assert (len(found.pks), found.arrays.values.shape) == (0, (1, WIDTH))


def flip(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("place", [0, 30, 60, PAGE, 2 * PAGE + 1, 3 * PAGE + 8])
def test_a_changed_byte_is_noticed(path: Path, place: int) -> None:
    flip(path, place)
    with pytest.raises(DamagedMatrix):
        map_matrix(path, origin=ORIGIN)


@pytest.mark.parametrize("size", [0, 10, PAGE, 5 * PAGE])
def test_a_file_cut_short_is_noticed(path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(DamagedMatrix):
        map_matrix(path, origin=ORIGIN)


def test_a_file_of_another_database_is_refused(path: Path) -> None:
    with pytest.raises(DamagedMatrix, match="another version or database"):
        map_matrix(path, origin="there/1/2")


def test_a_file_of_another_format_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_file, "MAGIC", b"CROSSAN item vectors 2\n")
    with pytest.raises(DamagedMatrix):
        map_matrix(path, origin=ORIGIN)


def test_whoever_has_mapped_a_file_goes_on_reading_it(path: Path) -> None:
    old = map_matrix(path, origin=ORIGIN)
    with new_matrix(path, header(), PKS) as matrix:
        fill(matrix, 3)
    path.unlink()
    np.testing.assert_array_equal(old.arrays.values[1], vector(5))


def test_a_file_that_was_not_finished_is_never_there(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_matrix(path, header(), PKS) as matrix:
        fill(matrix, 3, 1 // 0)
    assert [one.name for one in path.parent.iterdir()] == ["2.matrix"]
    assert np.flatnonzero(map_matrix(path, origin=ORIGIN).arrays.present).tolist() == [1, 4]


def test_a_full_disk_is_an_error_before_anything_is_mapped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, place: int, length: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"), new_matrix(path, header(), PKS):
        raise AssertionError
    assert [one.name for one in path.parent.iterdir()] == ["2.matrix"]
