import gc
from datetime import UTC, datetime
from typing import Any
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.recommendations.catalogue import MIN_ROWS, NEVER, Catalogue, ItemUpdate
from app.recommendations.filters import parse
from app.stores.sequence_state import SeenItem

NOW = 1_000.0


def update(item_id: str, **changes: Any) -> ItemUpdate:
    return ItemUpdate(changes.pop("pk", 1), item_id, **{"title": item_id.upper(), **changes})


def catalogue(*updates: ItemUpdate) -> Catalogue:
    made = Catalogue()
    made.apply(updates)
    return made


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_growth_keeps_every_row() -> None:
    many = 3 * MIN_ROWS
    made = catalogue(*(update(f"i{n}", pk=n, published_at=at(n), categories=[f"c{n}"]) for n in range(many)))
    assert len(made) == many
    assert made.pks.tolist() == made.published.tolist() == list(range(many))
    assert made.rows(["i0", f"i{many - 1}", "nobody", f"i{MIN_ROWS}"]) == [0, many - 1, MIN_ROWS]
    assert made.showable(now=float(many)).all()
    assert made.categories(many - 1) == (f"c{many - 1}",)


def test_an_update_replaces_everything_of_its_row() -> None:
    made = catalogue(update("a", categories=["sea"], attributes={"year": 2024}, published_at=at(5)), update("b"))
    made.apply([update("a", title="New", available=False, categories=["sky", "sea"])])
    assert len(made) == 2
    assert made.titles == ["New", "B"]
    assert made.categories(0) == ("sky", "sea")
    assert made.attributes(0) == {}
    assert made.published[0] == NEVER
    assert made.showable(now=NOW).tolist() == [False, True]


def test_a_deleted_item_keeps_its_row_and_nothing_else() -> None:
    made = catalogue(update("a", categories=["sea"], attributes={"year": 2024}), update("b"))
    made.apply([ItemUpdate(1, "a", deleted=True)])
    assert (made.titles[0], made.categories(0), made.attributes(0)) == ("", (), {})
    assert made.showable(now=NOW).tolist() == [False, True]
    assert made.deleted == 1
    made.apply([ItemUpdate(1, "a", deleted=True), update("a")])
    assert made.showable(now=NOW).tolist() == [True, True]
    assert made.deleted == 0


def test_a_catalogue_is_worn_when_most_of_it_is_deleted() -> None:
    many = 4 * MIN_ROWS
    made = catalogue(*(update(f"i{n}") for n in range(many)))
    made.apply(ItemUpdate(1, f"i{n}", deleted=True) for n in range(many // 2))
    assert not made.is_worn
    made.apply([ItemUpdate(1, f"i{many - 1}", deleted=True)])
    assert made.is_worn


def test_published_counts_from_its_second_on() -> None:
    made = catalogue(update("a", published_at=at(NOW)))
    assert made.showable(now=NOW - 1).tolist() == [False]
    assert made.showable(now=NOW).tolist() == [True]


def test_what_may_be_shown_is_the_same_until_something_is_published_or_changes() -> None:
    made = catalogue(update("a", published_at=at(100)), update("b", published_at=at(200)), update("c"))
    first = made.showable(now=100)
    assert made.showable(now=199.9) is first
    assert not first.flags.writeable
    assert made.showable(now=200).tolist() == [True, True, True]
    assert made.showable(now=150).tolist() == [True, False, True]
    assert made.showable(now=99).tolist() == [False, False, True]
    assert first.tolist() == [True, False, True]
    made.apply([update("c", available=False), update("d")])
    assert made.showable(now=150).tolist() == [True, False, False, True]


@given(st.lists(st.integers(0, 9) | st.none()), st.lists(st.floats(0, 10)))
@settings(max_examples=60, deadline=None)
def test_what_may_be_shown_does_not_depend_on_who_asked_before(dates: list[int | None], moments: list[float]) -> None:
    made = catalogue(
        *(update(f"i{n}", published_at=None if date is None else at(date)) for n, date in enumerate(dates))
    )
    for now in moments:
        assert made.showable(now=now).tolist() == [date is None or date <= now for date in dates]


def test_rows_are_foreseen_as_they_come() -> None:
    made = catalogue(update("a"), update("b"))
    updates = [update("c"), update("a"), update("d"), update("c")]
    expected = dict(made.foreseen(updates))
    made.apply(updates)
    assert made.row_of == expected == {"a": 0, "b": 1, "c": 2, "d": 3}


def test_an_empty_catalogue() -> None:
    made = Catalogue()
    assert made.showable(now=NOW).shape == made.pks.shape == made.in_categories(["sea"]).shape == (0,)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.lists(st.sampled_from("xyz"))), max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_last_update_of_an_item_counts(changes: list[tuple[str, bool, list[str]]]) -> None:
    made = catalogue(*(update(name, available=available, categories=has) for name, available, has in changes))
    last = {name: (available, has) for name, available, has in changes}
    assert sorted(made.ids) == sorted(last)
    shown, sky = made.showable(now=NOW), made.in_categories(["x", "y"])
    for name, (available, has) in last.items():
        (row,) = made.rows([name])
        assert shown[row] == available
        assert made.categories(row) == tuple(has)
        assert sky[row] == ("x" in has or "y" in has)


def test_the_newest_come_first() -> None:
    made = catalogue(
        update("added", pk=1, created_at=at(50)),
        update("dated", pk=2, created_at=at(99), published_at=at(10)),
        update("to come", pk=3, created_at=at(1), published_at=at(9_999)),
        update("as old, later", pk=4, created_at=at(50)),
        update("hidden", pk=5, created_at=at(60), available=False),
    )
    assert [made.ids[row] for row in made.by_recency()] == ["to come", "as old, later", "added", "dated"]
    assert made.by_recency() is made.by_recency()
    made.apply([update("dated", pk=2, created_at=at(99)), ItemUpdate(1, "added", deleted=True)])
    assert [made.ids[row] for row in made.by_recency()] == ["to come", "dated", "as old, later"]


def test_the_size_counts_arrays_columns_and_masks() -> None:
    made = Catalogue()
    # Number, two flags, two times.
    empty = MIN_ROWS * (8 + 1 + 1 + 8 + 8)
    assert made.size_bytes == empty
    made.apply([update(f"i{n}", attributes={"year": n}) for n in range(100)])
    made.matches(parse("year > 5"))
    made.by_recency()
    made.showable(now=NOW)
    # A kind and a number for each row, a mask, the order, and what may be shown.
    assert made.size_bytes == empty + 100 * (1 + 8) + 100 * 1 + 100 * 8 + 100 * 1


def test_a_catalogue_goes_with_its_last_reference() -> None:
    made = catalogue(update("a", attributes={"year": 1}))
    assert made.matches(parse("year > 0")).tolist() == [True]
    kept = ref(made)
    gc.disable()
    try:
        # An API process freezes what it has loaded: the garbage collector finds no cycle of it any more.
        del made
        assert kept() is None
    finally:
        gc.enable()


def test_seen_items_are_found_once_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recommendations.catalogue.SEEN_KEPT", 2)
    made = catalogue(update("a"), update("b"), update("ü"))
    seen = [SeenItem(name, kind, 0).member for name in ("ü", "late", "a") for kind in ("view", "buy")]
    for _ in range(2):
        assert made.rows_of_seen(seen) == [2, 2, 0, 0]
        assert made.rows_of_seen(seen[:2]) == [2, 2]
    made.apply([update("late"), update("a", deleted=True)])
    assert made.rows_of_seen(seen) == [2, 2, 3, 3, 0, 0]
