"""One version's vectors, in the rows of the catalogue."""

import numpy as np

from app.recommendations.catalogue import MIN_ROWS
from app.recommendations.vectors import ItemVectors, VectorUpdate

WIDTH = 3


def update(item_id: str, value: float | None) -> VectorUpdate:
    if value is None:
        return VectorUpdate(item_id, None, None)
    return VectorUpdate(item_id, np.full(WIDTH, value, np.float32), np.array([0.25, 0.75], np.float32))


def vectors() -> ItemVectors:
    return ItemVectors(width=WIDTH, modalities=("text", "image"))


def test_growth_keeps_every_row() -> None:
    many = 3 * MIN_ROWS
    made = vectors()
    made.apply((update(f"i{n}", n) for n in range(many)), {f"i{n}": n for n in range(many)})
    expected = np.repeat(np.arange(many, dtype=np.float32)[:, None], WIDTH, axis=1)
    np.testing.assert_array_equal(made.values, expected)
    assert made.present.all()
    assert made.shares(many - 1) == {"text": 0.25, "image": 0.75}


def test_an_item_loses_its_vector() -> None:
    made = vectors()
    row_of = {"a": 0, "b": 1}
    made.apply([update("a", 1), update("b", 2)], row_of)
    made.apply([update("a", None)], row_of)
    np.testing.assert_array_equal(made.values, [[0] * WIDTH, [2] * WIDTH])
    assert made.shares(0) == {"text": 0, "image": 0}
    assert made.present.tolist() == [False, True]
    assert made.with_vector([1, 0, 1]).tolist() == [1, 1]


def test_rows_without_a_vector_follow_the_catalogue() -> None:
    made = vectors()
    made.apply([update("a", 1), update("stranger", 2)], {"a": 0})
    made.extend(MIN_ROWS + 5)
    assert made.values.shape == (MIN_ROWS + 5, WIDTH)
    assert np.flatnonzero(made.present).tolist() == [0]
    made.extend(2)
    assert len(made) == MIN_ROWS + 5


def test_the_size_is_that_of_the_arrays() -> None:
    made = vectors()
    assert made.size_bytes == MIN_ROWS * (WIDTH * 4 + 2 * 4 + 1)


def test_an_empty_version() -> None:
    made = ItemVectors(width=0, modalities=())
    assert made.values.shape == (0, 0)
    assert made.with_vector([]).tolist() == []
