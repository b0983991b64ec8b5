"""Why an item stands where it stands: its rank by score, and each rule without which it would stand elsewhere."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from app.recommendations.caps import has_caps
from app.recommendations.eligibility import eligible_rows
from app.recommendations.explaining import Nearest
from app.recommendations.listing import make_list
from app.recommendations.options import RankingOptions
from app.recommendations.planning import Plan, Side, view_of
from app.recommendations.ranking import user_vector
from app.recommendations.view import Ranked
from app.replay.origin import Origin
from app.replay.schemas import ItemExplanation, Move, NearItem

INTERLEAVING = "interleaving"


def explain(origin: Origin, ranked: Ranked) -> list[ItemExplanation]:
    """One explanation for each item of a list, in order.

    Args:
        origin: what the list was made from.
        ranked: the list that comes of it.
    """
    sides = [_SideExplainer(origin, side, ranked.rows) for side in origin.plan.rivals or (origin.plan.side,)]
    without = {rule: _ranks(origin, plan) for rule, plan in _plans_without(origin)}
    explanations = []
    for place, (row, source) in enumerate(zip(ranked.rows, ranked.sources, strict=True)):
        rank = origin.task.page.offset + place + 1
        side = next((one for one in sides if one.name == source), sides[0])
        ranks = {rule: places.get(row) for rule, places in without.items()}
        if origin.plan.rivals:
            ranks[INTERLEAVING] = side.ranks.get(row)
        moved_by = [Move(rule=rule, rank_without=other) for rule, other in ranks.items() if other != rank]
        explanations.append(side.item(row, rank, ranked.scores[place], moved_by))
    return explanations


class _SideExplainer:
    """Explains items by one way to rank; of an interleaving there are two.

    Args:
        origin: what the list was made from.
        side: the way to rank.
        rows: of the list.
    """

    def __init__(self, origin: Origin, side: Side, rows: Sequence[int]) -> None:
        self.name = side.name
        self._catalogue = origin.state.catalogue
        self._version = view_of(origin.state, side.version)[1]
        self._by_score = _ranks_by_score(origin, side, rows)
        nearest = Nearest(self._catalogue, self._version, origin.task.history)
        self._nearest = dict(zip(rows, nearest.to(rows), strict=True))
        self.ranks = _ranks(origin, Plan(side)) if origin.plan.rivals else {}
        """Where the rows stand in the list of this side alone."""

    def item(self, row: int, rank: int, score: float | None, moved_by: list[Move]) -> ItemExplanation:
        """The explanation of one row."""
        version = self._version
        return ItemExplanation(
            rank=rank,
            item_id=self._catalogue.ids[row],
            title=self._catalogue.titles[row],
            score=score,
            rank_by_score=self._by_score.get(row),
            moved_by=moved_by,
            nearest=[NearItem(**near) for near in self._nearest[row]],
            shares=version.vectors.shares(row) if version is not None and score is not None else None,
        )


def _ranks(origin: Origin, plan: Plan) -> Mapping[int, int]:
    """Ranks of the rows that another plan would show on this page."""
    rows = make_list(origin.state, plan, origin.task).ranked.rows
    return {row: rank for rank, row in enumerate(rows, origin.task.page.offset + 1)}


def _plans_without(origin: Origin) -> Iterator[tuple[str, Plan]]:
    """For each rule that holds, the plan that is the same but for it."""
    plan = origin.plan
    active: dict[str, Mapping[str, Any]] = {}
    for side in (plan.side, *plan.rivals):
        active.update(_active_rules(side.options, origin.task.rotated))
    for rule, change in active.items():
        rivals = [_changed(side, change) for side in plan.rivals]
        yield rule, replace(plan, side=_changed(plan.side, change), rivals=rivals)


def _active_rules(options: RankingOptions, rotated: Mapping[str, float]) -> Mapping[str, Mapping[str, Any]]:
    """The rules that hold beside the scores, each with the options that switch it off."""
    rules: dict[str, tuple[bool, Mapping[str, Any]]] = {
        "pinned": (bool(options.pinned), {"pinned": {}}),
        "diversity": (options.diversity > 0, {"diversity": 0.0}),
        "cap": (has_caps(options), {"category_cap": None, "category_caps": {}}),
        "freshness": (options.freshness_weight > 0, {"freshness_weight": 0.0}),
        "exploration": (options.explore > 0, {"explore": 0.0}),
        "rotation": (options.rotation_s > 0 and bool(rotated), {"rotation_s": 0.0}),
    }
    return {rule: off for rule, (is_active, off) in rules.items() if is_active}


def _changed(side: Side, change: Mapping[str, Any]) -> Side:
    return replace(side, options=side.options.model_copy(update=dict(change)))


def _ranks_by_score(origin: Origin, side: Side, rows: Sequence[int]) -> Mapping[int, int]:
    """Ranks of those of the rows that might stand in the list, by score alone, among equals the lower number first."""
    task = origin.task
    view, _ = view_of(origin.state, side.version)
    user = user_vector(view, task.history)
    allowed = eligible_rows(view, task.history, side.options, now=task.now, page=task.page, scored=user is not None)
    if user is None or view.version is None:
        candidates = [row for row in (*view.trending, *view.latest) if allowed[row]]
        return {row: rank for rank, row in enumerate(candidates, task.page.offset + 1)}
    scores, pks = view.version.vectors.values @ user, view.catalogue.pks

    def ahead(row: int) -> int:
        better = (scores > scores[row]) | ((scores == scores[row]) & (pks < pks[row]))
        return int(np.count_nonzero(better & allowed))

    return {row: task.page.offset + 1 + ahead(row) for row in rows if allowed[row]}
