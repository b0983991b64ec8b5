"""Which options, version and scenario a request gets; and the lists of experiments."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.core.errors import ScenarioNotFound
from app.core.ids import uuid7
from app.experiments.interleaving import team_draft
from app.experiments.running import Arm, RunningExperiment
from app.recommendations.answers import Made, record_of
from app.recommendations.listing import Task, make_list
from app.recommendations.memory import RememberedPast
from app.recommendations.options import RankingOptions
from app.recommendations.paging import Chain
from app.recommendations.past import Past
from app.recommendations.planning import Wish, plan, plan_again
from app.recommendations.requests import RecommendRequest
from app.recommendations.state import ProjectState
from app.recommendations.view import FIRST_PAGE, Page
from app.scenarios.schemas import Scenario
from tests.app.recommendations.ranking_world import NOW, Thing, ids_of, past_of, view_of

THINGS = [Thing(f"i{n}", n, (9 - n, n, 0), ("even" if n % 2 == 0 else "odd",)) for n in range(8)]
THINGS += [Thing("seen", 90, (1, 0, 0)), Thing("other", 91, (0, 1, 0))]
VIEW = view_of(THINGS)
SCENARIOS = {"odd": {"categories": ("odd",), "limit": 3}, "even": {"categories": ("even",), "limit": 3}}


def state_of(*experiments: RunningExperiment) -> ProjectState:
    """A project whose one version is live, in memory alone."""
    scenarios: Mapping[str, Scenario] = {
        name: Scenario(name, RankingOptions(**cast("dict[str, Any]", fields))) for name, fields in SCENARIOS.items()
    }
    served = SimpleNamespace(
        vectors=VIEW.version.vectors if VIEW.version else None,
        max_length=3,
        encode_user=VIEW.version.encode_user if VIEW.version else None,
        id=7,
        name="v1",
    )
    found = SimpleNamespace(
        project=1,
        snapshot="1:1:",
        catalogue=VIEW.catalogue,
        live=served,
        versions={"v1": served},
        trending=[],
        latest=[],
        scenarios=scenarios,
        experiments=experiments,
    )
    return cast(ProjectState, found)


def experiment(*arms: Arm, interleaved: bool = False, number: int = 1) -> RunningExperiment:
    return RunningExperiment(number, f"e{number}", f"salt{number}", arms, interleaved)


def asked(**fields: Any) -> Wish:
    return Wish(RecommendRequest(**{"user_id": "u", **fields}))


def test_the_request_goes_before_the_scenario_and_that_before_the_defaults() -> None:
    options = plan(state_of(), asked(scenario="odd", limit=5, diversity=0.5), unit="u").options
    assert options == RankingOptions(limit=5, diversity=0.5, categories=("odd",))
    assert type(options) is RankingOptions
    assert plan(state_of(), asked(limit=10, scenario="odd"), unit="u").options.limit == 10, "a default that is said"
    with pytest.raises(ScenarioNotFound):
        plan(state_of(), asked(scenario="nowhere"), unit="u")


def test_an_arm_gives_scenario_and_version_to_its_share() -> None:
    arms = (Arm("a", 0.5, None, "odd"), Arm("b", 0.5, "v1", "even"))
    state = state_of(experiment(*arms))
    plans = {unit: plan(state, asked(user_id=unit), unit=unit) for unit in (f"u{n}" for n in range(50))}
    assert {one.side.name for one in plans.values()} == {"a", "b"}
    for unit, one in plans.items():
        arm = next(arm for arm in arms if arm.name == one.side.name)
        assert (one.scenario, one.side.version, one.experiment) == (arm.scenario, arm.version, state.experiments[0])
        assert one.options.categories == (one.scenario,)
        assert plan(state, asked(user_id=unit), unit=unit) == one, "the same unit stays in its arm"


def test_a_scenario_of_the_request_goes_before_an_experiment_on_scenarios_only() -> None:
    on_scenarios = experiment(Arm("a", 1.0, None, "even"), number=1)
    on_versions = experiment(Arm("v", 1.0, "v1", None), number=2)
    settled = plan(state_of(on_scenarios, on_versions), asked(scenario="odd"), unit="u")
    assert (settled.scenario, settled.side.name, settled.side.version) == ("odd", "v", "v1")
    assert settled.options.categories == ("odd",)
    assert plan(state_of(on_scenarios), asked(scenario="odd"), unit="u").experiment is None


def test_a_scenario_that_an_arm_names_in_vain_is_done_without() -> None:
    settled = plan(state_of(experiment(Arm("a", 1.0, "v9", "gone"))), asked(), unit="u")
    assert settled.options == RankingOptions()
    assert make_list(state_of(), settled, task()).version is not None, "in place of a version that is gone the live one"


def task(seed: int = 0) -> Task:
    return Task(past_of("seen"), now=NOW, seed=seed, rotated={}, page=FIRST_PAGE)


def test_an_interleaving_is_the_draft_of_both_arms() -> None:
    state = state_of(experiment(Arm("a", 0.5, None, "odd"), Arm("b", 0.5, None, "even"), interleaved=True))
    rows = {name: VIEW.catalogue.rows(ids) for name, ids in (("a", ["i1", "i3", "i5"]), ("b", ["i0", "i2", "i4"]))}
    seeds = [uuid7().int for _ in range(20)]
    firsts = set()
    for seed in seeds:
        settled = plan(state, asked(limit=3), unit="u")
        ranked = make_list(state, settled, task(seed)).ranked
        expected = team_draft(rows["a"], rows["b"], limit=3, seed=seed)
        assert list(zip(ranked.rows, ranked.sources, strict=True)) == [
            (row, "ab"[team]) for row, team in expected if team is not None
        ]
        assert ranked.propensities == [1.0] * 3
        assert ranked.scores == [float(THINGS[row].vector[0]) for row in ranked.rows]  # type: ignore[index]
        assert ranked.more
        firsts.add(ranked.sources[0])
    assert firsts == {"a", "b"}


def test_pins_of_the_request_keep_their_ranks_in_an_interleaving() -> None:
    state = state_of(experiment(Arm("a", 0.5, None, "odd"), Arm("b", 0.5, None, "even"), interleaved=True))
    settled = plan(state, asked(limit=4, pinned={"i7": 1, "i0": 3, "other": 9}), unit="u")
    for seed in range(10):
        ranked = make_list(state, settled, task(seed)).ranked
        shown = ids_of(VIEW, ranked.rows)
        assert (shown[0], shown[2]) == ("i7", "i0")
        assert [ranked.sources[0], ranked.sources[2]] == ["pinned", "pinned"]
        assert len(shown) == len(set(shown)) == 4
        assert set(shown[1::2]) <= {"i1", "i2", "i3", "i4"}


def test_rankings_that_agree_share_one_list() -> None:
    """Both arms are what would be served anyway: each item once, half of them for each team."""
    state = state_of(experiment(Arm("a", 0.5, None, None), Arm("b", 0.5, "v1", None), interleaved=True))
    ranked = make_list(state, plan(state, asked(limit=6), unit="u"), task()).ranked
    assert ids_of(VIEW, ranked.rows) == [f"i{n}" for n in range(6)]
    assert sorted(ranked.sources) == ["a"] * 3 + ["b"] * 3


def test_caps_hold_for_the_whole_list_of_an_interleaving() -> None:
    both = experiment(Arm("a", 0.5, None, None), Arm("b", 0.5, "v1", None), interleaved=True)
    for seed in range(10):
        settled = plan(state_of(both), asked(limit=6, category_cap=2, pinned={"i7": 2}), unit="u")
        shown = ids_of(VIEW, make_list(state_of(both), settled, task(seed)).ranked.rows)
        assert shown[1] == "i7"
        assert sorted(shown[:4]) == ["i0", "i1", "i2", "i7"], "two even ones, and two odd ones with the pinned one"
        assert set(shown[4:]) == {"other"}, "which has no category"


def test_more_pins_than_places_do_not_make_an_interleaved_page_longer() -> None:
    both = experiment(Arm("a", 0.5, None, None), Arm("b", 0.5, "v1", None), interleaved=True)
    settled = plan(state_of(both), asked(limit=1, pinned={"i7": 1, "i6": 2}), unit="u")
    one = task()._replace(page=Page(1, ("i0",)))
    ranked = make_list(state_of(both), settled, one).ranked
    assert (ids_of(VIEW, ranked.rows), ranked.more) == (["i7"], True)


def test_the_next_page_of_an_interleaving_is_ranked_as_the_first_one_was() -> None:
    both = experiment(Arm("a", 0.5, None, "odd"), Arm("b", 0.5, "v1", "even"), interleaved=True)
    state = state_of(both)
    # A limit that is said is the default: it must not come from a scenario on the second page.
    settled = plan(state, asked(limit=10), unit="u")
    listing = make_list(state, settled, task())
    made = Made(
        uuid7(), state, settled, Past("u", "u", RememberedPast(past_of("seen")), None, {}), task(), listing, Chain()
    )
    record = record_of(made)
    state.scenarios = {}
    again = plan_again(state, record)
    assert [side.options for side in again.rivals] == [side.options for side in settled.rivals]
    assert [(side.name, side.version) for side in again.rivals] == [("a", "v1"), ("b", "v1")]
    state.experiments = ()
    assert plan_again(state, record).rivals == []
