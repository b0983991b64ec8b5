"""One version's vectors, in the rows of the catalogue."""

import numpy as np
import pytest

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


def test_the_size_is_that_of_the_rows_in_use() -> None:
    made = vectors()
    assert made.size_bytes == 0
    made.extend(5)
    # Vector, shares, whether it is there, and the revision of the row.
    assert made.size_bytes == 5 * (WIDTH * 4 + 2 * 4 + 1 + 8)


def test_of_several_updates_the_last_one_counts_and_the_written_rows_are_told() -> None:
    made = vectors()
    rows = made.apply([update("b", 1), update("a", 2), update("b", None), update("nobody", 3)], {"a": 0, "b": 7})
    assert sorted(rows.tolist()) == [0, 7]
    assert np.flatnonzero(made.present).tolist() == [0]
    np.testing.assert_array_equal(made.values[7], np.zeros(WIDTH))
    assert made.apply([], {"a": 0}).tolist() == []


def test_shares_of_many_rows() -> None:
    made = vectors()
    made.apply([update("a", 1), update("c", 1)], {"a": 0, "c": 2})
    some, none = made.shares(2), made.shares(1)
    assert list(some.values()) == [0.25, 0.75]
    assert made.shares_of([2, 1, 0]) == [some, none, some]
    assert made.shares_of([]) == []
    made.apply([update("b", 1)], {"b": 1})
    assert made.shares_of([1]) == [some], "what was kept is forgotten with a change"


def test_not_all_shares_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recommendations.vectors.SHARES_KEPT", 2)
    made = vectors()
    made.apply([update(name, 1) for name in "abcd"], {name: row for row, name in enumerate("abcd")})
    for rows in ([0, 1], [2], [3], [0, 3]):
        assert made.shares_of(rows) == [made.shares(row) for row in rows]
        assert len(made._shares.of_row) <= 4


def test_rows_know_whether_they_have_changed_since() -> None:
    made = vectors()
    row_of = {"a": 0, "b": 1}
    made.apply([update("a", 1), update("b", 1)], row_of)
    seen = made.revision
    assert not made.changed_since([0, 1], seen)
    made.apply([update("stranger", 1)], row_of)
    made.apply([], row_of)
    assert made.revision == seen
    made.apply([update("b", None)], row_of)
    assert made.revision > seen
    assert not made.changed_since([0], seen)
    assert made.changed_since([0, 1], seen)
    assert not made.changed_since(np.array([0, 1]), made.revision)
    assert not made.changed_since([], seen)


def test_growth_keeps_the_revisions() -> None:
    made = vectors()
    made.apply([update("a", 1)], {"a": 0})
    seen = made.revision
    made.apply([update("b", 1)], {"b": 5 * MIN_ROWS})
    assert made.changed_since([5 * MIN_ROWS], seen)
    assert not made.changed_since([0], seen)


def test_a_revision_of_other_vectors_is_older_than_all() -> None:
    old = vectors()
    old.apply([update("a", 1)], {"a": 0})
    fresh = vectors()
    fresh.extend(1)
    assert fresh.changed_since([0], old.revision)
    assert fresh.changed_since([], old.revision)
    assert not fresh.changed_since([0], fresh.revision)


def test_an_empty_version() -> None:
    made = ItemVectors(width=0, modalities=())
    assert made.values.shape == (0, 0)
    assert made.with_vector([]).tolist() == []
