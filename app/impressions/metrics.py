"""Online metrics: what people did with the answers they got."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.core.types import ProjectId
from app.db.session import Transaction
from app.db.tables import ModelVersionRow
from app.impressions.attribution import DEFAULT_ATTRIBUTION, Attribution
from app.impressions.intervals import NOTHING_TRIED, Rate, wilson
from app.impressions.sums import CURVE_RANKS, GroupBy, SumRepository, Sums

__all__ = ["GroupBy", "OnlineMetrics", "RankMetrics", "online_metrics"]


@dataclass(frozen=True)
class RankMetrics:
    """What became of the items at one rank (from 1; the first of a second page of ten has 11)."""

    rank: int
    impressions: int
    clicks: int
    ctr: Rate


@dataclass(frozen=True)
class OnlineMetrics:
    """Of all answers, or of one group of them.

    Attributes:
        group: name of the scenario, of the version, or `<experiment id>:<arm>`; None for answers without one, and for
            all of them when they are not grouped.
        answers: how many; each page is one.
        users: different users among them; sessions without a user have none.
        impressions: items shown.
        clicks: of those, with at least one event of the click types.
        ctr: clicks a shown item.
        clicked_answers: answers with at least one click.
        answer_ctr: those among all answers.
        converted_answers: answers with at least one conversion; None where no type is one.
        conversion: those among all answers.
        items_shown: different items shown.
        coverage: share of the items that may be shown now which were; None for an empty catalogue.
        mrr: mean over all answers of 1 / rank of the first item clicked, 0 for an answer without a click.
        fallback_rate: share of answers that were not personal.
        personalised_rate: share of those that were.
        events: how many items were met with an event, by type.
        positions: by rank.
    """

    group: str | None
    answers: int
    users: int
    impressions: int
    clicks: int
    ctr: Rate
    clicked_answers: int
    answer_ctr: Rate
    converted_answers: int | None
    conversion: Rate
    items_shown: int
    coverage: float | None
    mrr: float | None
    fallback_rate: Rate
    personalised_rate: Rate
    events: Mapping[str, int]
    positions: Sequence[RankMetrics]


def online_metrics(
    transaction: Transaction,
    project: ProjectId,
    *,
    since: datetime,
    until: datetime,
    group_by: GroupBy | None = None,
    attribution: Attribution = DEFAULT_ATTRIBUTION,
    experiment_id: int | None = None,
) -> list[OnlineMetrics]:
    """Of the answers that were given from `since` on and before `until`.

    Args:
        transaction: where.
        project: whose.
        since: the first moment.
        until: the first moment that does not count any more.
        group_by: one result for each scenario, version or arm, in the order of their names; otherwise one for all.
        attribution: which events count.
        experiment_id: only answers of this experiment.

    Raises:
        InvalidRequest: it would take too long.
    """
    sums, catalogue = SumRepository(transaction, project).count(
        since=since, until=until, group_by=group_by, attribution=attribution, experiment_id=experiment_id
    )
    names = _version_names(transaction, project, sums) if group_by is GroupBy.VERSION else {}
    has_conversions = bool(attribution.conversion_types)
    found = [_metrics(one, names.get(key, key), catalogue, has_conversions) for key, one in sums.items()]
    return sorted(found, key=lambda metrics: (metrics.group is not None, metrics.group or ""))


def _version_names(
    transaction: Transaction, project: ProjectId, keys: Iterable[str | None]
) -> Mapping[str | None, str | None]:
    """Names of versions by their keys; one that has been deleted is called so."""
    numbers = [int(key) for key in keys if key is not None]
    query = select(ModelVersionRow).where(ModelVersionRow.project_id == project, ModelVersionRow.id.in_(numbers))
    names = {row.id: row.name for row in transaction.session.scalars(query)}
    return {str(number): names.get(number, f"deleted version {number}") for number in numbers}


def _metrics(sums: Sums, group: str | None, catalogue: int, has_conversions: bool) -> OnlineMetrics:
    """What follows from the numbers of a group; `catalogue` items may be shown now."""
    clicks = sum(sums.clicked_at.values())
    return OnlineMetrics(
        group=group,
        answers=sums.answers,
        users=sums.users,
        impressions=sums.impressions,
        clicks=clicks,
        ctr=wilson(clicks, sums.impressions),
        clicked_answers=sums.clicked_answers,
        answer_ctr=wilson(sums.clicked_answers, sums.answers),
        converted_answers=sums.converted_answers if has_conversions else None,
        conversion=wilson(sums.converted_answers, sums.answers) if has_conversions else NOTHING_TRIED,
        items_shown=sums.items,
        coverage=sums.items_showable / catalogue if catalogue else None,
        mrr=sums.reciprocal_ranks / sums.answers if sums.answers else None,
        fallback_rate=wilson(sums.fallbacks, sums.answers),
        personalised_rate=wilson(sums.answers - sums.fallbacks, sums.answers),
        events=dict(sorted(sums.types.items())),
        positions=_curve(sums),
    )


def _curve(sums: Sums) -> list[RankMetrics]:
    ranks = range(1, CURVE_RANKS + 1)
    counts = [(rank, sums.shown_at[rank], sums.clicked_at.get(rank, 0)) for rank in ranks if rank in sums.shown_at]
    return [RankMetrics(rank, shown, clicks, wilson(clicks, shown)) for rank, shown, clicks in counts]
