"""Settles a request: which options hold, which version ranks, and on behalf of which scenario and experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from app.core.errors import ScenarioNotFound
from app.core.types import VersionId
from app.experiments.running import Arm, RunningExperiment, assign
from app.impressions.record import AnswerRecord
from app.recommendations.options import RankingOptions
from app.recommendations.requests import RecommendRequest
from app.recommendations.served import ServedVersion
from app.recommendations.state import ProjectState
from app.recommendations.view import View

DEFAULTS = RankingOptions()
MAX_PLANS = 8
"""Plans that one wish remembers."""


@dataclass(frozen=True)
class Side:
    """One way to rank.

    Attributes:
        options: as resolved.
        version: name of the version that ranks, None for the live one.
        name: of the arm, None outside of experiments.
    """

    options: RankingOptions
    version: str | None = None
    name: str | None = None

    @cached_property
    def options_json(self) -> Mapping[str, Any]:
        """The options as a record keeps them; the same object each time, not to be changed."""
        return self.options.as_json()


@dataclass(frozen=True)
class Needs:
    """What a plan wants to know of a user besides the newest events.

    Attributes:
        older: items that only older events have made seen.
        rotation_s: what was shown in the last so many seconds, 0 for nothing.
    """

    older: bool
    rotation_s: float

    def shown_since(self, now: float) -> float | None:
        """From when on shown items are wanted, seconds since 1970."""
        return now - self.rotation_s if self.rotation_s else None


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        side: how to rank; in an interleaving the options of the request alone.
        scenario: its name.
        experiment: that chose the version or the scenario.
        rivals: the two ways that share the list of an interleaving; none otherwise.
    """

    side: Side
    scenario: str | None = None
    experiment: RunningExperiment | None = None
    rivals: Sequence[Side] = ()

    @property
    def options(self) -> RankingOptions:
        """The options as resolved."""
        return self.side.options

    @property
    def sides(self) -> Sequence[Side]:
        """Every way to rank that takes part."""
        return (self.side, *self.rivals)

    @cached_property
    def needs(self) -> Needs:
        """What has to be read of the user."""
        every = [side.options for side in self.sides]
        return Needs(any(one.exclude_seen for one in every), max(one.rotation_s for one in every))

    @cached_property
    def is_steady(self) -> bool:
        """Whether the same past, items and vectors give the same first page, whatever the time and the chance."""
        one = self.options
        return not (
            self.rivals
            or one.explore
            or one.rotation_s
            or one.freshness_weight
            or (one.exclude_seen and one.exclude_seen_max_age_s is not None)
        )

    def limited(self, limit: int | None) -> "Plan":
        """The same with another limit, unless that is None."""
        if limit is None:
            return self
        return replace(self, side=_limited(self.side, limit), rivals=[_limited(one, limit) for one in self.rivals])


class Wish:
    """What kind of list is asked for, whoever asks: the same for all who ask in the same words.

    Args:
        request: its options count where it sets them.
    """

    def __init__(self, request: RecommendRequest) -> None:
        self.options: RankingOptions = request
        self.scenario = request.scenario
        self.cursor = request.cursor
        self.given_limit = request.given_limit
        self._plans: dict[int, tuple[RankingOptions, Plan]] = {}

    def plan_over(self, base: RankingOptions) -> Plan:
        """The plan without an experiment, over these options; made once."""
        kept = self._plans.get(id(base))
        if kept is None or kept[0] is not base:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            kept = self._plans[id(base)] = (base, Plan(Side(self.options.over(base)), self.scenario))
        return kept[1]


def plan(state: ProjectState, wish: Wish, *, unit: str) -> Plan:
    """Settle a wish: its own options go before the scenario's, its own scenario before an experiment's.

    Raises:
        ScenarioNotFound: when it names one that does not exist.
    """
    experiments = [one for one in state.experiments if wish.scenario is None or not _chooses_scenario(one)]
    assignment = assign(experiments, unit) if experiments else None
    if assignment is None:
        return wish.plan_over(_base(state, wish.scenario))
    if assignment.arm is None:
        return _interleaved(state, wish, assignment.experiment)
    scenario = wish.scenario or assignment.arm.scenario
    return Plan(_side(state, wish, assignment.arm, scenario), scenario, assignment.experiment)


def plan_again(state: ProjectState, record: AnswerRecord) -> Plan:
    """The plan of an answer whose list goes on; what has ended or gone since is done without."""
    names = {version.id: name for name, version in state.versions.items()}

    def side_of(options: Mapping[str, Any], version: VersionId | None, arm: str | None) -> Side:
        return Side(RankingOptions.model_validate(options), None if version is None else names.get(version), arm)

    experiment = next((one for one in state.experiments if one.id == record.experiment_id), None)
    # As they were resolved: a scenario that has changed since changes no list that has begun.
    rivals = [side_of(rival.options, rival.version_id, rival.name) for rival in record.rivals] if experiment else []
    return Plan(side_of(record.options, record.version_id, record.arm), record.scenario, experiment, rivals)


def view_of(state: ProjectState, version: str | None) -> tuple[View, ServedVersion | None]:
    """The project as a version sees it; in place of one that is not served the live one."""
    served = served_by(state, version)
    return View(state.catalogue, served, state.trending, state.latest), served


def served_by(state: ProjectState, version: str | None) -> ServedVersion | None:
    """The version of this name, in place of one that is not served the live one."""
    return state.live if version is None else state.versions.get(version, state.live)


def _limited(side: Side, limit: int) -> Side:
    return replace(side, options=side.options.model_copy(update={"limit": limit}))


def _chooses_scenario(experiment: RunningExperiment) -> bool:
    return any(arm.scenario is not None for arm in experiment.arms)


def _interleaved(state: ProjectState, wish: Wish, experiment: RunningExperiment) -> Plan:
    sides = [_side(state, wish, arm, wish.scenario or arm.scenario) for arm in experiment.arms]
    return Plan(Side(wish.options.over(_base(state, wish.scenario))), wish.scenario, experiment, sides)


def _side(state: ProjectState, wish: Wish, arm: Arm, scenario: str | None) -> Side:
    known = scenario if scenario in state.scenarios else None
    return Side(wish.options.over(_base(state, known)), arm.version, arm.name)


def _base(state: ProjectState, scenario: str | None) -> RankingOptions:
    if scenario is None:
        return DEFAULTS
    if scenario not in state.scenarios:
        raise ScenarioNotFound(scenario)
    return state.scenarios[scenario].options
