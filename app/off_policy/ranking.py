"""Ranks recorded answers again: the candidates of the version that served, and those of the one in question."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.db.tables import AnswerRow
from app.off_policy.places import MAX_PLACES, conditional_probabilities
from app.off_policy.slates import Order, Slate, build_slate
from app.recommendations.options import RankingOptions
from app.recommendations.ranking import rank
from app.recommendations.view import View
from app.stores.sequence_state import SequenceState

TOLERANCE = 1e-6


class NotReproduced(Exception):
    """What is recorded does not come out again: catalogue, past or version are no longer what they were."""


class NotPersonal(Exception):
    """The candidate knows nothing of the user's past, and would have answered with a fallback."""


@dataclass(frozen=True)
class Versions:
    """The same catalogue as two versions see it."""

    served: View
    candidate: View


def slate_of(
    answer: AnswerRow,
    successes: frozenset[int],
    past: SequenceState,
    versions: Versions,
    popularity: Mapping[str, float],
) -> Slate:
    """One recorded answer in the eyes of the candidate.

    Args:
        answer: a first page of personal items with exploration.
        successes: places from 1.
        past: as it was.
        versions: as things were.
        popularity: of items.

    Raises:
        NotReproduced: when the recorded propensities are not those of the ranking as recomputed.
        NotPersonal: when the candidate has no personal list.
    """
    options = RankingOptions.model_validate(answer.options)
    served = _order(versions.served, answer, past, options)
    if served is None:
        raise NotReproduced
    places = min(len(answer.item_ids), len(served.item_ids), MAX_PLACES)
    shown = answer.item_ids[:places]
    propensities = conditional_probabilities(served.item_ids, shown, options.explore)
    if propensities is None or not np.allclose(propensities, answer.propensities[:places], rtol=0, atol=TOLERANCE):
        raise NotReproduced
    candidate = _order(versions.candidate, answer, past, options)
    if candidate is None:
        raise NotPersonal
    return build_slate(
        answer.user_id if answer.user_id is not None else f"answer {answer.id}",
        [(item_id, place in successes) for place, item_id in enumerate(shown, 1)],
        rate=options.explore,
        served=served,
        candidate=candidate,
        popularity=popularity,
    )


def _order(view: View, answer: AnswerRow, past: SequenceState, options: RankingOptions) -> Order | None:
    """Everything that chance chooses among, best first: those shown lately come after all others, and are left out."""
    rotated = {item_id: float(time) for item_id, time in answer.rotated.items()} if options.rotation_s else {}
    ranked = rank(view, past, _without_chance(options), now=answer.at_s, seed=0, rotated=rotated)
    if ranked.fallback is not None:
        return None
    entries = [
        (item_id, float(score or 0.0))
        for row, score in zip(ranked.rows, ranked.scores, strict=True)
        if (item_id := view.catalogue.ids[row]) not in rotated
    ]
    return Order([item_id for item_id, _ in entries], np.array([score for _, score in entries]))


def _without_chance(options: RankingOptions) -> RankingOptions:
    """The same list without chance, as long as what chance would choose among."""
    size = max(options.limit, options.explore_pool)
    return options.model_copy(update={"explore": 0.0, "limit": size, "why": False})
