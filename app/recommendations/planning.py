"""Settles a request: which options hold, which version ranks, and on behalf of which scenario and experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    def needs(self) -> Needs:
        """What has to be read of the user."""
        every = [side.options for side in (self.side, *self.rivals)]
        return Needs(any(one.exclude_seen for one in every), max(one.rotation_s for one in every))

    def limited(self, limit: int | None) -> "Plan":
        """The same with another limit, unless that is None."""
        if limit is None:
            return self
        return replace(self, side=_limited(self.side, limit), rivals=[_limited(one, limit) for one in self.rivals])


def plan(state: ProjectState, request: RecommendRequest, *, unit: str) -> Plan:
    """Settle a request: its own options go before the scenario's, its own scenario before an experiment's.

    Raises:
        ScenarioNotFound: when the request names one that does not exist.
    """
    experiments = [one for one in state.experiments if request.scenario is None or not _chooses_scenario(one)]
    assignment = assign(experiments, unit) if experiments else None
    if assignment is None:
        return Plan(Side(_over(state, request, request.scenario)), request.scenario)
    if assignment.arm is None:
        return _interleaved(state, request, assignment.experiment, request.scenario)
    scenario = request.scenario or assignment.arm.scenario
    return Plan(_side(state, request, assignment.arm, scenario), scenario, assignment.experiment)


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
    served = state.versions.get(version, state.live) if version is not None else state.live
    return View(state.catalogue, served, state.trending, state.latest), served


def _limited(side: Side, limit: int) -> Side:
    return replace(side, options=side.options.model_copy(update={"limit": limit}))


def _chooses_scenario(experiment: RunningExperiment) -> bool:
    return any(arm.scenario is not None for arm in experiment.arms)


def _interleaved(
    state: ProjectState, asked: RankingOptions, experiment: RunningExperiment, scenario: str | None
) -> Plan:
    sides = [_side(state, asked, arm, scenario or arm.scenario) for arm in experiment.arms]
    return Plan(Side(_over(state, asked, scenario)), scenario, experiment, sides)


def _side(state: ProjectState, asked: RankingOptions, arm: Arm, scenario: str | None) -> Side:
    known = scenario if scenario in state.scenarios else None
    return Side(_over(state, asked, known), arm.version, arm.name)


def _over(state: ProjectState, asked: RankingOptions, scenario: str | None) -> RankingOptions:
    if scenario is None:
        return asked if type(asked) is RankingOptions else asked.over(DEFAULTS)
    if scenario not in state.scenarios:
        raise ScenarioNotFound(scenario)
    return asked.over(state.scenarios[scenario].options)
