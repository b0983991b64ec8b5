"""Makes the list of a plan: one ranking, or two that are interleaved."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from app.experiments.interleaving import team_draft
from app.recommendations.caps import Caps
from app.recommendations.catalogue import Catalogue
from app.recommendations.eligibility import pinned_rows
from app.recommendations.memory import History
from app.recommendations.options import RankingOptions
from app.recommendations.planning import Plan, Side, view_of
from app.recommendations.ranking import rank
from app.recommendations.served import ServedVersion
from app.recommendations.state import ProjectState
from app.recommendations.view import PINNED, Page, Ranked


class Task(NamedTuple):
    """What a list is made of besides the plan: the past, the time, the seed, what was shown lately, and the page."""

    history: History
    now: float
    seed: int
    rotated: Mapping[str, float]
    page: Page


class Listing(NamedTuple):
    """A page, and the version that ranked it (of an interleaving the first one)."""

    ranked: Ranked
    version: ServedVersion | None


def make_list(state: ProjectState, plan: Plan, task: Task) -> Listing:
    """The page of a plan."""
    return _interleaved(state, plan, task) if plan.rivals else _ranked(state, plan.side, task)


def _ranked(state: ProjectState, side: Side, task: Task) -> Listing:
    view, version = view_of(state, side.version)
    ranked = rank(
        view,
        task.history,
        side.options,
        now=task.now,
        seed=task.seed,
        rotated=task.rotated if side.options.rotation_s else {},
        page=task.page,
    )
    return Listing(ranked, version)


def _interleaved(state: ProjectState, plan: Plan, task: Task) -> Listing:
    """Two rankings draft in turns (nothing is explored) for the places that the request itself has not pinned."""
    first, second = (_ranked(state, replace(side, options=_rival(side.options, plan)), task) for side in plan.rivals)
    rankings = (first.ranked, second.ranked)
    view, version = view_of(state, plan.rivals[0].version)
    pins = pinned_rows(view, plan.options, now=task.now, page=task.page)
    due = [pin for pin in pins if pin[0] <= task.page.offset + plan.options.limit][: plan.options.limit]
    drafted = team_draft(
        first.ranked.rows,
        second.ranked.rows,
        limit=plan.options.limit - len(due),
        seed=task.seed,
        referee=_CapKeeper(plan, state.catalogue, pinned=[row for _, row in due]),
    )
    places = [{row: place for place, row in enumerate(one.rows)} for one in rankings]
    entries = [_entry(row, team, rankings, places, plan) for row, team in drafted]
    for rank_, row in due:
        entries.insert(max(rank_ - task.page.offset - 1, 0), (row, None, PINNED))
    union = {*first.ranked.rows, *second.ranked.rows}
    fallback = None if any(one.fallback is None for one in rankings) else first.ranked.fallback
    ranked = Ranked(
        rows=[row for row, _, _ in entries],
        scores=[score for _, score, _ in entries],
        propensities=[1.0] * len(entries),
        sources=[source for _, _, source in entries],
        fallback=fallback,
        pool=[*dict.fromkeys([*first.ranked.pool, *second.ranked.pool])] if fallback else [],
        more=any(one.more for one in rankings) or len(union) > len(drafted) or len(due) < len(pins),
    )
    return Listing(ranked, version)


def _rival(options: RankingOptions, plan: Plan) -> RankingOptions:
    """The options of one of two rankings that share a list: what the request pins has its places already."""
    pinned = plan.options.pinned
    return options.model_copy(
        update={
            "explore": 0.0,
            "limit": plan.options.limit,
            "pinned": {} if pinned else options.pinned,
            "exclude": (*options.exclude, *pinned),
        }
    )


class _CapKeeper:
    """Satisfies `Referee`: each team keeps to the caps of its own way to rank, counted over the whole list."""

    def __init__(self, plan: Plan, catalogue: Catalogue, *, pinned: Sequence[int]) -> None:
        self._caps = [Caps(side.options, catalogue.categories) for side in plan.rivals]
        for caps in self._caps:
            caps.note(pinned)

    def allows(self, row: int, team: int) -> bool:
        """Whether none of the row's categories is full for the team."""
        return self._caps[team].allow(row)

    def note(self, row: int) -> None:
        """The row is in the list now."""
        for caps in self._caps:
            caps.note([row])


def _entry(
    row: int, team: int | None, rankings: Sequence[Ranked], places: Sequence[Mapping[int, int]], plan: Plan
) -> tuple[int, float | None, str]:
    """A drafted row with its score and source; one that counts for neither names no arm."""
    side = team if team is not None else next(one for one in (0, 1) if row in places[one])
    place = places[side][row]
    name = plan.rivals[side].name if team is not None else None
    return row, rankings[side].scores[place], name or rankings[side].sources[place]
