"""What an answer says, and what is kept of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.impressions.record import AnswerRecord, HistoryMark, Rival, ShownItem
from app.recommendations.explaining import Nearest
from app.recommendations.listing import Listing, Task
from app.recommendations.paging import Chain, cursor_of
from app.recommendations.past import Past
from app.recommendations.planning import Plan, Side, view_of
from app.recommendations.state import ProjectState


@dataclass(frozen=True)
class Made:
    """A list with everything that it came from."""

    id: UUID
    state: ProjectState
    plan: Plan
    past: Past
    task: Task
    listing: Listing
    chain: Chain


def document(made: Made) -> dict[str, Any]:
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
        "items": list(_items(made)),
        "next_cursor": cursor_of(made.id) if may_go_on else None,
    }


def _items(made: Made) -> Iterator[dict[str, Any]]:
    catalogue, ranked, version = made.state.catalogue, made.listing.ranked, made.listing.version
    nearest = Nearest(catalogue, version, made.past.state).to(ranked.rows) if made.plan.options.why else None
    for index, (row, score) in enumerate(zip(ranked.rows, ranked.scores, strict=True)):
        item: dict[str, Any] = {
            "item_id": catalogue.ids[row],
            "rank": made.chain.offset + index + 1,
            "score": score,
            "title": catalogue.titles[row],
            "shares": version.vectors.shares(row) if version is not None and score is not None else None,
        }
        if nearest is not None:
            item["why"] = nearest[index]
        yield item


def record_of(made: Made) -> AnswerRecord:
    """What is kept of the answer."""
    ranked, plan, past = made.listing.ranked, made.plan, made.past
    catalogue, version = made.state.catalogue, made.listing.version
    ids = catalogue.ids
    entries = zip(ranked.rows, ranked.scores, ranked.propensities, ranked.sources, strict=True)
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
        options=plan.options.as_json(),
        session=past.session,
        history=_mark(past) if past.session is None else None,
        rotated=past.shown,
        pool=[ids[row] for row in ranked.pool],
        fallback=ranked.fallback,
        offset=made.chain.offset,
        previous_id=made.chain.previous_id,
        items=[ShownItem(ids[row], score, chance, source) for row, score, chance, source in entries],
        rivals=[_rival(made.state, side) for side in plan.rivals],
    )


def _rival(state: ProjectState, side: Side) -> Rival:
    _, version = view_of(state, side.version)
    return Rival(side.name, version.id if version else None, side.options.as_json())


def _mark(past: Past) -> HistoryMark:
    state = past.state
    return HistoryMark(len(state.members), state.through, state.digest)
