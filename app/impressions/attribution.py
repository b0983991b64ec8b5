"""Which events an answer has earned: one definition, for metrics, experiments and estimates.

An event counts for an answer if it names it, if its item was in that answer (and seen, where the client reports what
was), and if it happened within the window after it. It counts once for each (answer, item, type), at its first time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.types import ProjectId
from app.db.session import Transaction

DAY_S = 86_400.0
CLOCK_SKEW_S = 300.0
"""By how much a client's clock may be behind ours: its events then seem to come before the answer they name."""


@dataclass(frozen=True)
class Attribution:
    """Which events count, and as what.

    Attributes:
        click_types: event types that are a click; None for all.
        conversion_types: event types that are a conversion.
        window_s: how long after an answer its events count.
    """

    click_types: Sequence[str] | None = None
    conversion_types: Sequence[str] = ()
    window_s: float = DAY_S

    def parameters(self) -> dict[str, Any]:
        """Of the statements that contain `ATTRIBUTED`."""
        clicks = None if self.click_types is None else list(self.click_types)
        return {
            "clicks": clicks,
            "conversions": list(self.conversion_types),
            "window_s": self.window_s,
            "skew_s": CLOCK_SKEW_S,
        }


DEFAULT_ATTRIBUTION = Attribution()


@dataclass(frozen=True)
class AttributedEvent:
    """The first event of a type with an item of an answer.

    Attributes:
        answer_id: the answer.
        item_id: its item.
        position: of the item in that answer, from 1; a next page begins with 1 again.
        type: of the event.
        value: of the event, None if it has none.
        at: when it happened.
    """

    answer_id: UUID
    item_id: str
    position: int
    type: str
    value: float | None
    at: datetime


ATTRIBUTED = """
SELECT DISTINCT ON (shown.id, place.position, events.type)
    shown.*, events.item_id, place.position, events.type, events.value, events.timestamp, events.id AS number
FROM events JOIN shown ON shown.id = events.recommendation_id
CROSS JOIN LATERAL (SELECT array_position(shown.item_ids, events.item_id) AS position) AS place
WHERE events.project_id = :project AND events.recommendation_id IS NOT NULL
    AND events.timestamp >= CAST(:since AS timestamptz) - make_interval(secs => :skew_s)
    AND events.timestamp < CAST(:until AS timestamptz) + make_interval(secs => :window_s)
    AND events.timestamp >= shown.at - make_interval(secs => :skew_s)
    AND events.timestamp <= shown.at + make_interval(secs => :window_s)
    AND (shown.seen_positions IS NULL OR place.position = ANY (shown.seen_positions))
    AND place.position IS NOT NULL
ORDER BY shown.id, place.position, events.type, events.timestamp, events.id
"""
"""The rule above in SQL, over a relation `shown` with columns of `answers`: id, at, item_ids, seen_positions."""

_EVENTS_OF_ANSWERS = text(f"""
WITH shown AS MATERIALIZED (
    SELECT id, at, item_ids, seen_positions FROM answers
    WHERE project_id = :project AND at >= :since AND at < :until
        AND (CAST(:experiment AS bigint) IS NULL OR experiment_id = :experiment)
), attributed AS ({ATTRIBUTED})
SELECT id, item_id, position, type, value, timestamp FROM attributed
""")


def attributed_events(
    transaction: Transaction,
    project: ProjectId,
    *,
    since: datetime,
    until: datetime,
    attribution: Attribution,
    experiment_id: int | None = None,
) -> Iterator[AttributedEvent]:
    """What was done with the answers that were given from `since` on and before `until`, of any type."""
    parameters = {
        "project": project,
        "since": since,
        "until": until,
        "experiment": experiment_id,
        "window_s": attribution.window_s,
        "skew_s": CLOCK_SKEW_S,
    }
    rows = transaction.session.execute(_EVENTS_OF_ANSWERS, parameters, execution_options={"yield_per": 1_000})
    for row in rows:
        yield AttributedEvent(*row)
