"""What metrics are made of, counted in PostgreSQL: one statement, and one set of numbers for each group of answers."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import text

from app.core.errors import InvalidRequest
from app.db.repository import Repository
from app.impressions.attribution import ATTRIBUTED, Attribution
from app.impressions.patience import LONGEST_S, TookTooLong, rows_in_time

CURVE_RANKS = 20


class GroupBy(StrEnum):
    """What answers may be told apart by."""

    SCENARIO = "scenario"
    VERSION = "version"
    ARM = "arm"


_KEYS: Mapping[GroupBy | None, str] = {
    None: "NULL",
    GroupBy.SCENARIO: "scenario",
    GroupBy.VERSION: "version_id::text",
    GroupBy.ARM: "experiment_id || ':' || coalesce(arm, '')",
}

# One statement, so that all numbers are of one snapshot and the answers are read once. A part is a kind of number; of
# each row `label` and the numbers mean what `_Sums` reads them as.
_STATEMENT = """
WITH shown AS MATERIALIZED (
    SELECT {key} AS key, id, at, user_id, fallback, rank_offset, item_ids, seen_positions,
        CASE WHEN seen_positions IS NULL THEN cardinality(item_ids) ELSE cardinality(seen_positions) END AS seen
    FROM answers
    WHERE project_id = :project AND at >= :since AND at < :until
        AND (CAST(:experiment AS bigint) IS NULL OR experiment_id = :experiment) {only}
), attributed AS MATERIALIZED ({attributed}
), shapes AS (
    SELECT key, rank_offset, cardinality(item_ids) AS length, count(*) AS n
    FROM shown WHERE seen_positions IS NULL AND rank_offset < :ranks GROUP BY 1, 2, 3
), clicked AS MATERIALIZED (
    SELECT DISTINCT ON (id, position) key, id, rank_offset + position AS rank, timestamp, number
    FROM attributed WHERE CAST(:clicks AS text[]) IS NULL OR type = ANY (:clicks)
    ORDER BY id, position, timestamp, number
), first_clicks AS (
    SELECT DISTINCT ON (id) key, rank FROM clicked ORDER BY id, timestamp, number
), different AS (
    SELECT DISTINCT key, item_id FROM shown, unnest(item_ids) WITH ORDINALITY AS one (item_id, position)
    WHERE seen_positions IS NULL OR position = ANY (seen_positions)
)
SELECT 'answers' AS part, key, NULL AS label, count(*) AS a, count(DISTINCT user_id) AS b, 0.0::float8 AS c
    FROM shown GROUP BY key
UNION ALL SELECT 'shown', key, NULL, sum(seen)::bigint, count(fallback), 0 FROM shown GROUP BY key
UNION ALL SELECT 'rank', key, NULL, rank, sum(n)::bigint, 0 FROM (
    SELECT key, generate_series(rank_offset + 1, least(rank_offset + length, :ranks)) AS rank, n FROM shapes
    UNION ALL SELECT key, rank_offset + unnest(seen_positions), 1 FROM shown WHERE seen_positions IS NOT NULL
) AS ranks WHERE rank <= :ranks GROUP BY key, rank
UNION ALL SELECT 'clicked rank', key, NULL, rank, count(*), 0 FROM clicked GROUP BY key, rank
UNION ALL SELECT 'clicked', key, NULL, count(*), 0, sum(1.0::float8 / rank) FROM first_clicks GROUP BY key
UNION ALL SELECT 'converted', key, NULL, count(DISTINCT id), 0, 0
    FROM attributed WHERE type = ANY (:conversions) GROUP BY key
UNION ALL SELECT 'type', key, type, count(*), 0, 0 FROM attributed GROUP BY key, type
UNION ALL SELECT 'items', key, NULL, count(*), count(items.id), 0
    FROM different LEFT JOIN items ON items.project_id = :project AND items.item_id = different.item_id AND {showable}
    GROUP BY key
UNION ALL SELECT 'catalogue', NULL, NULL, count(*), 0, 0 FROM items WHERE items.project_id = :project AND {showable}
"""
_SHOWABLE = (
    "items.available AND items.deleted_at IS NULL AND (items.published_at IS NULL OR items.published_at <= now())"
)


class Sums:
    """The numbers of one group as they come from the database."""

    def __init__(self) -> None:
        self.answers = self.users = self.impressions = self.fallbacks = 0
        self.clicked_answers = self.converted_answers = self.items = self.items_showable = 0
        self.reciprocal_ranks = 0.0
        self.types: dict[str, int] = {}
        self.shown_at: dict[int, int] = defaultdict(int)
        self.clicked_at: dict[int, int] = defaultdict(int)

    def add(self, part: str, label: str | None, a: int, b: int, c: float) -> None:
        """Take in one row."""
        match part:
            case "answers":
                self.answers, self.users = a, b
            case "shown":
                self.impressions, self.fallbacks = a, b
            case "rank":
                self.shown_at[a] = b
            case "clicked rank":
                self.clicked_at[a] = b
            case "clicked":
                self.clicked_answers, self.reciprocal_ranks = a, c
            case "converted":
                self.converted_answers = a
            case "type":
                self.types[label or ""] = a
            case "items":
                self.items, self.items_showable = a, b


class SumRepository(Repository):
    """Counts the answers of one project."""

    def count(
        self,
        *,
        since: datetime,
        until: datetime,
        group_by: GroupBy | None,
        attribution: Attribution,
        experiment_id: int | None,
    ) -> tuple[dict[str | None, Sums], int]:
        """The numbers by group, and how many items may be shown now.

        Raises:
            InvalidRequest: it would take too long.
        """
        statement = _STATEMENT.format(
            key=_KEYS[group_by],
            only="AND experiment_id IS NOT NULL" if group_by is GroupBy.ARM else "",
            attributed=ATTRIBUTED,
            showable=_SHOWABLE,
        )
        parameters = {
            "project": self.project,
            "since": since,
            "until": until,
            "experiment": experiment_id,
            "ranks": CURVE_RANKS,
            **attribution.parameters(),
        }
        sums: dict[str | None, Sums] = {} if group_by else {None: Sums()}
        catalogue = 0
        for part, key, label, *numbers in self._bounded(statement, parameters):
            if part == "catalogue":
                catalogue = numbers[0]
            else:
                sums.setdefault(key, Sums()).add(part, label, *numbers)
        return sums, catalogue

    def _bounded(self, statement: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
        """The rows of a statement that may not take longer than `LONGEST_S`."""
        try:
            return rows_in_time(self.session, text(statement), parameters, longest_s=LONGEST_S)
        except TookTooLong as error:
            message = f"counting takes longer than {LONGEST_S} s: take a shorter time"
            raise InvalidRequest.of("since", message) from error
