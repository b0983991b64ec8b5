"""What an answer says, and what is kept of it."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from app.impressions.record import AnswerRecord, Rival, ShownItems
from app.recommendations.explaining import Nearest
from app.recommendations.listing import Listing, Task
from app.recommendations.paging import Chain, cursor_of
from app.recommendations.past import Past
from app.recommendations.planning import Plan, Side, view_of
from app.recommendations.served import ServedVersion
from app.recommendations.state import ProjectState
from app.recommendations.view import Ranked

Items = list[dict[str, Any]] | orjson.Fragment
"""The items of an answer, as values or as JSON."""


class Made(NamedTuple):
    """A list with everything that it came from."""

    id: UUID
    state: ProjectState
    plan: Plan
    past: Past
    task: Task
    listing: Listing
    chain: Chain


def document(made: Made, items: Items) -> dict[str, Any]:
    """The answer as JSON-ready values, in the shape of `schemas.Recommendation`."""
    ranked, plan, version = made.listing.ranked, made.plan, made.listing.version
    may_go_on = ranked.more and made.chain.may_go_on
    return {
        "recommendation_id": str(made.id),
        "user_id": made.past.user_id,
        "model_version": version.name if version else None,
        "scenario": plan.scenario,
        "experiment": plan.experiment.name if plan.experiment else None,
        "arm": plan.side.name,
        "personalised": ranked.fallback is None,
        "fallback": ranked.fallback,
        "items": items,
        "next_cursor": cursor_of(made.id) if may_go_on else None,
    }


def items_of(made: Made) -> list[dict[str, Any]]:
    """The items of the answer, in the shape of `schemas.RecommendedItem`."""
    catalogue, ranked, version = made.state.catalogue, made.listing.ranked, made.listing.version
    ids, titles, first = catalogue.ids, catalogue.titles, made.chain.offset + 1
    items: list[dict[str, Any]] = [
        {"item_id": ids[row], "rank": rank, "score": score, "title": titles[row], "shares": shares}
        for rank, (row, score, shares) in enumerate(
            zip(ranked.rows, ranked.scores, _shares(ranked, version), strict=True), first
        )
    ]
    if made.plan.options.why:
        nearest = Nearest(catalogue, version, made.past.state).to(ranked.rows)
        for item, why in zip(items, nearest, strict=True):
            item["why"] = why
    return items


def _shares(ranked: Ranked, version: ServedVersion | None) -> Iterable[dict[str, float] | None]:
    """Of each item that the version has scored."""
    if version is None or not ranked.rows:
        return [None] * len(ranked.rows)
    every = version.vectors.shares_of(ranked.rows)
    return [None if score is None else shares for score, shares in zip(ranked.scores, every, strict=True)]


def record_of(made: Made) -> AnswerRecord:
    """What is kept of the answer."""
    ranked, plan, past = made.listing.ranked, made.plan, made.past
    catalogue, version = made.state.catalogue, made.listing.version
    ids = catalogue.ids
    return AnswerRecord(
        id=made.id,
        project=made.state.project,
        user_id=past.user_id,
        at=made.task.now,
        version_id=version.id if version else None,
        snapshot=made.state.snapshot,
        scenario=plan.scenario,
        experiment_id=plan.experiment.id if plan.experiment else None,
        arm=plan.side.name,
        options=plan.side.options_json,
        session=past.session,
        history=past.remembered.mark if past.session is None else None,
        rotated=past.shown,
        pool=[ids[row] for row in ranked.pool],
        fallback=ranked.fallback,
        offset=made.chain.offset,
        previous_id=made.chain.previous_id,
        items=ShownItems([ids[row] for row in ranked.rows], ranked.scores, ranked.propensities, ranked.sources),
        rivals=[_rival(made.state, side) for side in plan.rivals],
    )


def _rival(state: ProjectState, side: Side) -> Rival:
    _, version = view_of(state, side.version)
    return Rival(side.name, version.id if version else None, side.options_json)
