"""Columns against the meaning of a filter item by item, while items come, change and go."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.recommendations.catalogue import Catalogue, ItemUpdate
from app.recommendations.filters import evaluate, parse
from app.recommendations.filters.evaluate import FilterEngine
from tests.app.recommendations.filters.slow import lets_through

LONG_AGO = "2001-09-09T01:46:40+00:00"
LATELY = "2024-05-01T12:00:00+00:00"


def item(
    item_id: str, published_at: str | None = None, categories: Sequence[str] = (), **attributes: Any
) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "published_at": published_at,
        "categories": list(categories),
        "attributes": attributes,
    }  # fmt: skip


def update(raw: Mapping[str, Any]) -> ItemUpdate:
    published = raw["published_at"]
    return ItemUpdate(
        1,
        raw["item_id"],
        published_at=datetime.fromisoformat(published) if published else None,
        categories=raw["categories"],
        attributes=json.loads(json.dumps(raw["attributes"])),
    )


def catalogue(*items: Mapping[str, Any]) -> Catalogue:
    made = Catalogue()
    made.apply(map(update, items))
    return made


SHELF = (
    item("i0", LONG_AGO, ["sea", "sky"], year=1999, title="Alpha", tags=["a", 1, True, None], new=True),
    item("i1", LATELY, ["sea"], year="1999", title="beta", tags=[], new=False, maker={"land": "fr", "size": {"w": 3}}),
    item("i2", None, [], year=None, title="gamma", tags="a", new=1),
    item("i3", LATELY, ["SEA"], year=2024.5, title="Ωmega", tags=[["a"], {"a": 1}], new=None, maker="fr"),
    item("i4"),
    item("i5", LONG_AGO, ["sky"], year=[1999, 2024.5], title="", tags=["b", "a"], maker={"land": ["fr", "de"]}),
)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("categories = 'sea'", "01"),
        ("categories != 'sea'", "35"),
        ("not categories = 'sea'", "2345"),
        ("categories in ('sky', 'SEA')", "035"),
        ("exists categories", "0135"),
        ("item_id = 'i3'", "3"),
        ("item_id in ('i3', 'i0', 'nobody')", "03"),
        ("item_id >= 'i3'", "345"),
        ("item_id < 'i10'", "01"),
        ("year = 1999", "05"),
        ("year = '1999'", "1"),
        ("year != 1999", "123"),
        ("not year = 1999", "1234"),
        ("not year != 1999", "045"),
        ("year > 0", "03"),
        ("year <= 1999", "0"),
        ("year >= '1000'", "1"),
        ("year = null", "2"),
        ("year != null", "0135"),
        ("exists year", "01235"),
        ("not exists year", "4"),
        ("year in (2024.5, '1999')", "135"),
        ("new = true", "0"),
        ("new = 1", "2"),
        ("new != true", "123"),
        ("tags = 'a'", "025"),
        ("tags != 'a'", "13"),
        ("tags = 1", "0"),
        ("tags = true", "0"),
        ("tags = null", "0"),
        ("tags >= 'a'", "2"),
        ("title < 'a'", "05"),
        ("title <= 'beta'", "015"),
        ("title > 'beta'", "23"),
        ("title >= 'beta'", "123"),
        ("maker.land = 'fr'", "15"),
        ("maker.size.w = 3", "1"),
        ("exists maker", "135"),
        ("exists maker.size", "1"),
        ("maker.size != 3", "1"),
        ("published_at < '2010-01-01'", "05"),
        ("published_at >= '2024-05-01T12:00:00Z'", "13"),
        ("published_at > '2024-05-01T12:00:00Z'", ""),
        ("published_at = '2024-05-01T14:00:00+02:00'", "13"),
        ("published_at != '2024-05-01T12:00:00'", "05"),
        ("published_at in ('2024-05-01T12:00:00', '2001-09-09T01:46:40')", "0135"),
        ("exists published_at", "0135"),
        ("nothing = 1 or nothing < 'x' or nothing != null", ""),
        ("not (nothing = 1)", "012345"),
        ("year = 1999 and categories = 'sky' or title = 'beta'", "015"),
    ],
)
def test_what_comes_through(written: str, expected: str) -> None:
    wanted = parse(written)
    assert [row for row, one in enumerate(SHELF) if lets_through(wanted.root, one)] == [int(row) for row in expected]
    assert np.flatnonzero(catalogue(*SHELF).matches(wanted)).tolist() == [int(row) for row in expected]


@pytest.mark.parametrize(("number", "kept"), [(10**400, np.inf), (-(10**400), -np.inf), (2**53 + 1, 2.0**53)])
def test_numbers_are_compared_in_double_precision(number: int, kept: float) -> None:
    made = catalogue(item("a", size=number), item("b", size=[number]))
    if np.isfinite(kept):
        assert made.matches(parse(f"size = {kept!r}")).tolist() == [True, True]
    else:
        assert made.matches(parse("size > 1.7e308")).tolist() == [number > 0, False]
        assert made.matches(parse("size < 1.7e308")).tolist() == [number < 0, False]


SCALARS = st.one_of(st.sampled_from(["a", "b", "B", ""]), st.integers(0, 3), st.sampled_from([0.5, True, False, None]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=4,
)
ITEMS = st.builds(
    lambda name, published, categories, attributes: item(name, published, categories, **attributes),
    st.sampled_from([f"i{number}" for number in range(12)]),
    st.sampled_from([None, LONG_AGO, LATELY]),
    st.lists(st.sampled_from("xyz"), max_size=3),
    st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2),
)
PATHS = st.sampled_from(["a", "b", "a.b", "b.a.b"])
WRITTEN_SCALARS = st.sampled_from(["'a'", "'b'", "'B'", "''", "0", "1", "0.5", "true", "false", "null"])
TERMS = st.one_of(
    st.builds("{} {} {}".format, PATHS, st.sampled_from(["=", "!="]), WRITTEN_SCALARS),
    st.builds("{} {} {}".format, PATHS, st.sampled_from(["<", "<=", ">", ">="]), st.sampled_from(["'a'", "'B'", "1"])),
    st.builds("{} in ({})".format, PATHS, st.lists(WRITTEN_SCALARS, min_size=1, max_size=8).map(", ".join)),
    st.builds("exists {}".format, st.sampled_from(["a", "b.a", "categories", "published_at"])),
    st.builds("categories {} '{}'".format, st.sampled_from(["=", "!="]), st.sampled_from("xyz")),
    st.builds("item_id {} '{}'".format, st.sampled_from(["=", "!=", "<", ">="]), st.sampled_from(["i1", "i5"])),
    st.builds("published_at {} '2010-01-01'".format, st.sampled_from(["=", "!=", "<", ">="])),
)
FILTERS = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' and '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' or '.join(parts)})"),
    ),
    max_leaves=5,
)
STEPS = st.lists(st.one_of(ITEMS, st.sampled_from(["i1", "i2"])), max_size=25)


@given(STEPS, st.lists(FILTERS, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_columns_follow_the_items(steps: list[dict[str, Any] | str], filters: list[str]) -> None:
    made = Catalogue()
    items: dict[str, dict[str, Any]] = {}
    for step in steps:
        if isinstance(step, str):
            items.pop(step, None)
            made.apply([ItemUpdate(1, step, deleted=True)])
        else:
            items[step["item_id"]] = step
            made.apply([update(step)])
        for written in filters:
            wanted = parse(written)
            found = made.matches(wanted)
            assert len(found) == len(made)
            for item_id, one in items.items():
                assert found[made.row_of[item_id]] == lets_through(wanted.root, one), written


def test_a_filter_asked_for_again_costs_nothing_until_an_item_changes() -> None:
    made = catalogue(*SHELF)
    first = made.matches(parse("year = 1999"))
    assert made.matches(parse(" year  = 1999.0")) is first
    assert not first.flags.writeable
    made.apply([])
    assert made.matches(parse("year = 1999")) is first
    made.apply([update(item("i0", year=2000))])
    assert np.flatnonzero(made.matches(parse("year = 1999"))).tolist() == [5]
    assert np.flatnonzero(first).tolist() == [0, 5], "what somebody holds stays as it was"


def test_columns_and_masks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "MAX_COLUMNS", 2)
    monkeypatch.setattr(evaluate, "MAX_MASKS", 3)
    made = catalogue(*SHELF)
    engine = FilterEngine(made)
    for number in range(5):
        engine.matches(parse(f"a{number} = 1"))
    engine.matches(parse("a3 = 1"))
    assert [path.keys for path in engine._columns] == [("a3",), ("a4",)]
    assert list(engine._masks) == ["attributes.a2 = 1.0", "attributes.a4 = 1.0", "attributes.a3 = 1.0"]
    assert engine.size_bytes == 3 * len(SHELF) + 2 * len(SHELF)


def test_a_column_whose_values_have_all_been_replaced_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recommendations.filters.columns.SPARE_CODES", 4)
    made = catalogue(item("a", x="0"), item("b", x="0"))
    for number in range(50):
        made.apply([update(item("a", x=str(number)))])
        assert made.matches(parse(f"x = '{number}'")).tolist() == [True, number == 0]
        for column in made._filters._columns.values():
            assert len(column._code_of) <= 4 + 2 * 2 + 1


def test_lists_that_change_again_and_again_keep_their_size() -> None:
    made = catalogue(item("a", x=["0"]), item("b", x=["b", "c"]))
    for number in range(2_000):
        made.apply([update(item("a", x=[str(number % 7), "a"]))])
        assert made.matches(parse("x = 'a'")).tolist() == [True, False]
        assert made.matches(parse("x = 'c'")).tolist() == [False, True]
    (column,) = made._filters._columns.values()
    assert column.size_bytes < 10_000
