"""`rank` against a slow reference that follows the definitions, option by option and all at once."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.recommendations.candidates import top_rows
from app.recommendations.options import RankingOptions
from app.recommendations.ranking import rank
from app.recommendations.view import Page
from app.stores.sequence_state import SeenItem, SequenceState
from tests.app.recommendations.ranking_world import CATEGORIES, NOW, Slow, Thing, ids_of, past_of, view_of

HISTORY = ("seen1", "seen2")
SEEN = (Thing("seen1", 901, (1, 2, 0)), Thing("seen2", 902, (2, 0, 1)))


@st.composite
def catalogues(draw: st.DrawFn) -> list[Thing]:
    """Up to fourteen items with small whole vectors, so that scores are exact and ties are frequent."""
    pks = draw(st.lists(st.integers(1, 900), unique=True, max_size=14))
    cell = st.integers(-2, 2)
    return [
        Thing(
            f"i{number}",
            pk,
            draw(st.none() | st.tuples(cell, cell, cell)),
            tuple(draw(st.sets(st.sampled_from(CATEGORIES), max_size=2))),
            draw(st.sampled_from([None, 0.0, 50.0, 200.0, -5.0])),
            draw(st.integers(0, 9)) > 0,
        )
        for number, pk in enumerate(pks)
    ] + list(SEEN)


IDS = st.lists(st.sampled_from([f"i{number}" for number in range(14)]), unique=True, max_size=5)
HALF = st.sampled_from([0.0, 0.5])
OPTIONS = st.fixed_dictionaries(
    {"limit": st.integers(1, 6)},
    optional={
        "categories": st.none() | st.lists(st.sampled_from(CATEGORIES), unique=True, max_size=2),
        "include": st.none() | IDS,
        "exclude": IDS,
        "exclude_seen": st.booleans(),
        "category_cap": st.none() | st.integers(1, 2),
        "category_caps": st.dictionaries(st.sampled_from(CATEGORIES), st.integers(0, 2), max_size=2),
        "pinned": IDS.map(lambda ids: {item: 2 * place + 1 for place, item in enumerate(ids)}),
        "explore": HALF,
        "explore_pool": st.integers(1, 20),
    },
)
ROTATED = st.dictionaries(st.sampled_from([f"i{number}" for number in range(14)]), st.sampled_from([1.0, 2.0]))


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_everything_at_once_equals_the_reference(data: st.DataObject) -> None:
    things, asked = data.draw(catalogues()), data.draw(OPTIONS)
    rotated, seed = data.draw(ROTATED), data.draw(st.integers(0, 2**128 - 1))
    before = data.draw(IDS)
    options = RankingOptions(**asked)
    view = view_of(things)
    page = Page(len(before), before)
    ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=seed, rotated=rotated, page=page)
    slow = Slow(things, options, HISTORY, rotated, before, len(before), seed)
    expected = slow.page()
    assert ids_of(view, ranked.rows) == [item for item, _ in expected]
    assert list(ranked.propensities) == pytest.approx([chance for _, chance in expected])
    assert ranked.sources == ["pinned" if item in options.pinned else "personal" for item, _ in expected]
    scores = [None if slow.by_id[item].vector is None else slow.score(slow.by_id[item]) for item, _ in expected]
    assert list(ranked.scores) == scores
    shown = {item for item, _ in expected}
    left = {*slow.order(), *(item for _, item in slow.pins())} - shown
    assert ranked.more == bool(left)
    assert (ranked.fallback, list(ranked.pool)) == (None, [])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_freshness_equals_the_reference(data: st.DataObject) -> None:
    """Ages are all different, so that no two merits are closer than rounding."""
    things = data.draw(catalogues())
    things = [
        Thing(one.item_id, one.pk, one.vector, one.categories, 37.0 * number + 1, one.is_available)
        for number, one in enumerate(things)
    ]
    options = RankingOptions(
        limit=data.draw(st.integers(1, 8)), freshness_weight=data.draw(st.floats(0.1, 9)), freshness_half_life_s=100.0
    )
    view = view_of(things)
    slow = Slow(things, options, HISTORY)
    merits = sorted(slow.merits().values())
    if len(merits) > 1 and float(np.diff(merits).min()) < 1e-6:
        return
    ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=0)
    assert ids_of(view, ranked.rows) == slow.order()[: options.limit]


@pytest.mark.parametrize("diversity", [0.0, 0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("caps", [{}, {"category_caps": {"sea": 2}}])
def test_diversity_is_maximal_marginal_relevance(diversity: float, caps: dict[str, Any]) -> None:
    rng = np.random.default_rng(11)
    things = [
        Thing(f"i{n}", n, tuple(rng.integers(-9, 10, 3).tolist()), (CATEGORIES[n % 3],)) for n in range(60)
    ] + list(SEEN)
    options = RankingOptions(limit=12, diversity=diversity, pinned={"i3": 2}, **caps)
    view = view_of(things)
    ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=0)
    assert ids_of(view, ranked.rows) == [item for item, _ in Slow(things, options, HISTORY).page()]


def test_more_diversity_is_more_diverse() -> None:
    rng = np.random.default_rng(5)
    things = [Thing(f"i{n}", n, tuple(rng.integers(-9, 10, 3).tolist())) for n in range(60)] + list(SEEN)
    view = view_of(things)
    vectors = view.version.vectors.values if view.version else np.zeros((0, 0))
    likeness = []
    for diversity in (0.0, 0.4, 0.9):
        options = RankingOptions(limit=10, diversity=diversity)
        chosen = vectors[list(rank(view, past_of(*HISTORY), options, now=NOW, seed=0).rows)]
        units = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
        likeness.append(float((units @ units.T)[np.triu_indices(10, 1)].mean()))
    assert likeness[0] > likeness[1] > likeness[2]


def test_without_a_version_there_is_nothing_to_diversify_by() -> None:
    things = [Thing(f"i{n}", n, None) for n in range(5)]
    view = view_of(things, has_version=False, latest=["i4", "i2", "i0"])
    ranked = rank(view, past_of(), RankingOptions(diversity=0.9), now=NOW, seed=0)
    assert ids_of(view, ranked.rows)[:3] == ["i4", "i2", "i0"]


EXPLORED = [Thing(f"i{n}", n, (9 - n, 0, 0)) for n in range(6)] + list(SEEN)


def test_propensities_of_all_lists_add_up_to_one() -> None:
    """Every list of three places from a pool of four, by walking the tree of what may stand in each place."""
    options = RankingOptions(limit=3, explore=0.4, explore_pool=4)
    slow = Slow(EXPLORED, options, HISTORY)
    lists: dict[tuple[str, ...], float] = {(): 1.0}
    for _ in range(3):
        grown = {}
        for above, probability in lists.items():
            found = slow.distribution(list(above), slow.order(), slow.merits())
            assert found is not None
            assert sum(found[1].values()) == pytest.approx(1)
            grown.update({(*above, item): probability * chance for item, chance in found[1].items()})
        lists = grown
    assert len(lists) == 4 * 3 * 2
    assert sum(lists.values()) == pytest.approx(1)
    view, counts = view_of(EXPLORED), Counter[tuple[str, ...]]()
    seeds = 6_000
    for seed in range(seeds):
        ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=seed)
        shown = tuple(ids_of(view, ranked.rows))
        assert float(np.prod(ranked.propensities)) == pytest.approx(lists[shown])
        counts[shown] += 1
    for shown, probability in lists.items():
        # Five standard deviations of a binomial: one of 24 lists fails by chance once in 70,000 runs of other seeds.
        spread = 5 * (probability * (1 - probability) / seeds) ** 0.5
        assert counts[shown] / seeds == pytest.approx(probability, abs=spread)


def test_the_same_seed_gives_the_same_list_and_another_one_another() -> None:
    view, options = view_of(EXPLORED), RankingOptions(limit=6, explore=1.0)
    lists = [tuple(rank(view, past_of(*HISTORY), options, now=NOW, seed=seed).rows) for seed in (7, 7, 8, 9)]
    assert lists[0] == lists[1]
    assert len(set(lists)) > 1


def test_a_pinned_place_is_certain() -> None:
    view = view_of(EXPLORED)
    options = RankingOptions(limit=4, explore=1.0, pinned={"i5": 1, "i4": 3})
    ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=3)
    assert (ids_of(view, ranked.rows)[0], ids_of(view, ranked.rows)[2]) == ("i5", "i4")
    assert [ranked.propensities[0], ranked.propensities[2]] == [1.0, 1.0]
    # Four are left in the second place, three in the fourth.
    assert [ranked.propensities[1], ranked.propensities[3]] == pytest.approx([1 / 4, 1 / 3])


def test_pins_go_before_history_and_filters_but_not_before_what_may_be_shown() -> None:
    things = [
        *EXPLORED,
        Thing("gone", 50, (9, 9, 9), is_available=False),
        Thing("tomorrow", 51, (9, 9, 9), age_s=-5.0),
        Thing("plain", 52, None),
    ]
    view = view_of(things)
    pinned = {"gone": 1, "tomorrow": 2, "seen1": 3, "plain": 4, "unknown": 5, "i3": 6}
    options = RankingOptions(limit=6, pinned=pinned, exclude=("i3",), categories=("nothing",))
    ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=0)
    assert ids_of(view, ranked.rows) == ["seen1", "plain"]
    assert list(ranked.scores) == [pytest.approx(3 + 4), None]


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, {"c", "d"}),
        ({"exclude_seen_types": ["buy"]}, {"a", "c", "d"}),
        ({"exclude_seen_types": ["view", "buy"]}, {"c", "d"}),
        ({"exclude_seen_max_age_s": 100}, {"b", "c", "d"}),
        ({"exclude_seen_types": ["buy"], "exclude_seen_max_age_s": 100}, {"a", "b", "c", "d"}),
        ({"exclude_seen": False}, {"a", "b", "c", "d", "old"}),
    ],
)
def test_what_counts_as_seen(fields: dict[str, Any], left: set[str]) -> None:
    things = [Thing(name, n, (1, n, 0)) for n, name in enumerate(("a", "b", "c", "d", "old"), 1)]
    view = view_of(things)
    events = [*past_of("b", type_="buy", at=NOW - 500).events, *past_of("a", at=NOW - 50).events]
    # What is older than the sequence counts too, under the same conditions.
    older = [SeenItem("old", "view", int((NOW - 50) * 1e6)), SeenItem("old", "buy", int((NOW - 900) * 1e6))]
    if fields.get("exclude_seen_types") == ["buy"] and "exclude_seen_max_age_s" in fields:
        left = left | {"old"}
    ranked = rank(view, SequenceState.of(events, older), RankingOptions(**fields), now=NOW, seed=0)
    assert set(ids_of(view, ranked.rows)) == left


def test_a_refresh_brings_what_was_not_shown_and_then_the_longest_ago() -> None:
    view = view_of(EXPLORED)
    shown: dict[str, float] = {}
    lists = []
    for refresh in range(4):
        options = RankingOptions(limit=2, rotation_s=100)
        ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=0, rotated=shown)
        lists.append(ids_of(view, ranked.rows))
        shown.update(dict.fromkeys(lists[-1], float(refresh)))
    assert lists == [["i0", "i1"], ["i2", "i3"], ["i4", "i5"], ["i0", "i1"]]


@given(catalogues(), OPTIONS)
@settings(max_examples=100, deadline=None)
def test_pages_never_repeat_and_cover_everything(things: list[Thing], asked: dict[str, Any]) -> None:
    view, options = view_of(things), RankingOptions(**asked)
    shown: list[str] = []
    for number in range(40):
        ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=number, page=Page(len(shown), tuple(shown)))
        page = ids_of(view, ranked.rows)
        assert not set(page) & set(shown)
        shown += page
        if not ranked.more:
            break
        assert page, "a page that says there is more has something"
    slow = Slow(things, options, HISTORY)
    assert set(shown) == {*slow.order(), *(item for _, item in slow.pins())}


def test_caps_reach_beyond_the_first_candidates() -> None:
    """A thousand of one category stand above all others: the page is filled from below them."""
    things = [Thing(f"i{n}", n, (5, 0, 0), ("sea",)) for n in range(1_000)]
    things += [Thing(f"j{n}", 2_000 + n, (1, 0, 0), ("sky",)) for n in range(9)]
    things += [Thing(f"k{n}", 3_000 + n, (0, 0, 0)) for n in range(9)] + list(SEEN)
    view = view_of(things)
    ranked = rank(view, past_of(*HISTORY), RankingOptions(limit=10, category_cap=3), now=NOW, seed=0)
    assert ids_of(view, ranked.rows) == ["i0", "i1", "i2", "j0", "j1", "j2", "k0", "k1", "k2", "k3"]
    assert ranked.more


@given(st.lists(st.integers(-3, 3) | st.none(), max_size=40), st.integers(1, 50), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_top_equals_sorting_everything(values: list[int | None], k: int, random: Any) -> None:
    merit = np.array([-np.inf if value is None else value for value in values], np.float32)
    ties = list(range(len(values)))
    random.shuffle(ties)
    candidates = [row for row, value in enumerate(values) if value is not None]
    expected = sorted(candidates, key=lambda row: (-merit[row], ties[row]))[:k]
    assert top_rows(merit, k, ties=np.array(ties, np.int64)).tolist() == expected


def test_the_view_is_left_alone() -> None:
    view = view_of(EXPLORED)
    assert view.version is not None
    vectors, ids = view.version.vectors.values.copy(), list(view.catalogue.ids)
    options = RankingOptions(limit=3, explore=0.5, diversity=0.5, category_cap=1, pinned={"i4": 2}, exclude=("i1",))
    rank(view, past_of(*HISTORY), options, now=NOW, seed=1, rotated={"i0": 1.0})
    np.testing.assert_array_equal(view.version.vectors.values, vectors)
    assert view.catalogue.ids == ids
    assert view.catalogue.showable(now=NOW).all()


@pytest.mark.parametrize("fields", [{}, {"diversity": 0.1}, {"explore": 0.5, "explore_pool": 50}])
def test_caps_reach_through_many_categories(fields: dict[str, Any]) -> None:
    """Sixty items of each of forty categories in turn: every category gets its one place, pool after pool."""
    things = [Thing(f"i{n}", n, (40 - n // 60, n % 7, 0), (f"c{n // 60}",)) for n in range(2_400)] + list(SEEN)
    view = view_of(things)
    options = RankingOptions(limit=45, category_cap=1, **fields)
    ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=5)
    shown = [view.catalogue.categories(row) for row in ranked.rows]
    assert sorted(shown) == sorted([*{(f"c{n}",) for n in range(40)}, (), ()][: len(shown)])
    assert len(shown) == 40
    if not fields:
        assert ids_of(view, ranked.rows) == [item for item, _ in Slow(things, options, HISTORY).page()]


def test_what_is_pinned_further_down_has_its_share_of_a_cap() -> None:
    things = [Thing(f"i{n}", n, (9 - n, 0, 0), ("sea" if n < 4 else "sky",)) for n in range(8)] + list(SEEN)
    view = view_of(things)
    options = RankingOptions(limit=4, category_cap=2, pinned={"i3": 4, "i2": 9})
    ranked = rank(view, past_of(*HISTORY), options, now=NOW, seed=0)
    # With the one that is pinned to the fourth place the sea has its two; the pin to the ninth is of another page.
    assert ids_of(view, ranked.rows) == ["i0", "i4", "i5", "i3"]
