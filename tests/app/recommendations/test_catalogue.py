from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.recommendations.catalogue import MIN_ROWS, Catalogue, ItemUpdate

WIDTH = 3
NOW = 1_000.0


def update(item_id: str, **changes: Any) -> ItemUpdate:
    vector = changes.pop("vector", None)
    values: dict[str, Any] = {
        "title": item_id.upper(),
        "available": True,
        "published_at": None,
        "vector": None if vector is None else np.full(WIDTH, vector, np.float32),
        "shares": None if vector is None else np.array([0.25, 0.75], np.float32),
    }
    return ItemUpdate(item_id, **{**values, **changes})


def catalogue(*updates: ItemUpdate) -> Catalogue:
    made = Catalogue(width=WIDTH, modalities=("text", "image"))
    made.apply(updates)
    return made


def test_growth_keeps_every_row() -> None:
    many = 3 * MIN_ROWS
    made = catalogue(*(update(f"i{n}", vector=n) for n in range(many)))
    assert len(made) == many
    np.testing.assert_array_equal(made.vectors, np.repeat(np.arange(many, dtype=np.float32)[:, None], WIDTH, axis=1))
    assert made.rows(["i0", f"i{many - 1}", "nobody", f"i{MIN_ROWS}"]) == [0, many - 1, MIN_ROWS]
    assert made.showable(now=NOW).all()
    assert made.shares(many - 1) == {"text": 0.25, "image": 0.75}


def test_an_update_replaces_everything_of_its_row() -> None:
    made = catalogue(update("a", vector=1), update("b", vector=2))
    made.apply([update("a", title="New", available=False)])
    assert len(made) == 2
    assert made.titles == ["New", "B"]
    np.testing.assert_array_equal(made.vectors[0], 0)
    assert made.shares(0) == {"text": 0, "image": 0}
    assert made.with_vector([0, 1]).tolist() == [1]
    assert made.showable(now=NOW).tolist() == [False, True]


def test_published_counts_from_its_second_on() -> None:
    made = catalogue(update("a", vector=1, published_at=datetime.fromtimestamp(NOW, UTC)))
    assert made.showable(now=NOW - 1).tolist() == [False]
    assert made.showable(now=NOW).tolist() == [True]


def test_an_item_without_a_vector_is_showable_and_not_scorable() -> None:
    made = catalogue(update("a"), update("b", vector=1))
    assert made.showable(now=NOW).tolist() == [True, True]
    assert made.scorable(now=NOW).tolist() == [False, True]


def test_an_empty_catalogue() -> None:
    made = Catalogue(width=0, modalities=())
    assert made.vectors.shape == (0, 0)
    assert made.showable(now=NOW).shape == (0,)
    assert made.with_vector([]).tolist() == []


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.one_of(st.none(), st.integers(1, 9))), max_size=40)
)
@settings(max_examples=60, deadline=None)
def test_the_last_update_of_an_item_counts(changes: list[tuple[str, bool, int | None]]) -> None:
    made = catalogue(*(update(name, available=available, vector=vector) for name, available, vector in changes))
    last = {name: (available, vector) for name, available, vector in changes}
    assert sorted(made.ids) == sorted(last)
    for name, (available, vector) in last.items():
        (row,) = made.rows([name])
        assert made.showable(now=NOW)[row] == available
        assert made.scorable(now=NOW)[row] == (available and vector is not None)
        np.testing.assert_array_equal(made.vectors[row], vector or 0)
