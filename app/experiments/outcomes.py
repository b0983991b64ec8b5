"""Queries for what came of an experiment, added up by the database to a few sums an arm.

A unit is a user, or an answer to a session without one. A success is an item of an answer that an event of one of the
metric's types is attributed to (`app.impressions.attribution`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, text

from app.core.errors import AnswerTimedOut
from app.db.repository import Repository
from app.db.tables import ExperimentRow
from app.experiments.ratio import Moments
from app.impressions.attribution import ATTRIBUTED, CLOCK_SKEW_S
from app.impressions.patience import LONGEST_S, TookTooLong, rows_in_time

_SHOWN = f"""
WITH shown AS MATERIALIZED (
    SELECT id, arm, user_id, coalesce('user ' || user_id, 'answer ' || id) AS unit,
        at, item_ids, sources, seen_positions
    FROM answers WHERE project_id = :project AND experiment_id = :experiment
), attributed AS ({ATTRIBUTED}), chosen AS (
    SELECT DISTINCT id, position FROM attributed WHERE type = ANY(:types)
)
"""

_SPLIT = text(
    _SHOWN
    + """
, answered AS (
    SELECT shown.*, coalesce(successes, 0) AS successes
    FROM shown LEFT JOIN (SELECT id, count(*) AS successes FROM chosen GROUP BY id) AS counted USING (id)
), units AS (
    SELECT arm, unit, count(user_id) > 0 AS is_user, count(*) AS answers,
        sum(coalesce(cardinality(seen_positions), cardinality(item_ids)))::float8 AS x, sum(successes)::float8 AS y
    FROM answered GROUP BY arm, unit
)
SELECT arm, count(*) AS units, count(*) FILTER (WHERE is_user) AS users, sum(answers) AS answers,
    sum(x) AS x, sum(y) AS y, sum(x * x) AS xx, sum(x * y) AS xy, sum(y * y) AS yy,
    count(*) FILTER (WHERE y > 0) AS converted
FROM units GROUP BY arm
"""
)

_INTERLEAVED = text(
    _SHOWN
    + """
, credited AS (
    SELECT shown.id, count(*) FILTER (WHERE place.source = :first) AS first,
        count(*) FILTER (WHERE place.source = :second) AS second
    FROM shown JOIN chosen USING (id) CROSS JOIN LATERAL (SELECT shown.sources[chosen.position] AS source) AS place
    GROUP BY shown.id
), answered AS (
    SELECT unit, user_id, coalesce(first, 0) AS first, coalesce(second, 0) AS second
    FROM shown LEFT JOIN credited USING (id)
), units AS (
    SELECT count(user_id) > 0 AS is_user, count(*) AS answers, sum(first) AS first, sum(second) AS second,
        count(*) FILTER (WHERE first > second) AS first_wins, count(*) FILTER (WHERE second > first) AS second_wins
    FROM answered GROUP BY unit
)
SELECT coalesce(sum(answers), 0) AS answers, count(*) FILTER (WHERE is_user) AS users,
    coalesce(sum(first), 0) AS first_successes, coalesce(sum(second), 0) AS second_successes,
    coalesce(sum(first_wins), 0) AS first_wins, coalesce(sum(second_wins), 0) AS second_wins,
    count(*) FILTER (WHERE first > second) AS first_preferred,
    count(*) FILTER (WHERE second > first) AS second_preferred
FROM units
"""
)

_BY_VERSION = text("""
SELECT answers.arm, 'v' || model_versions.number AS version, count(*) AS answers
FROM answers LEFT JOIN model_versions
    ON model_versions.id = answers.version_id AND model_versions.project_id = answers.project_id
WHERE answers.project_id = :project AND answers.experiment_id = :experiment GROUP BY answers.arm, version
""")


@dataclass(frozen=True)
class ArmOutcome:
    """What came of one arm of a split: successes over items shown, and units with a success over units."""

    answers: int
    users: int
    clicks: Moments
    conversions: Moments


@dataclass(frozen=True)
class DraftOutcome:
    """What came of an interleaving: successes and won answers by team, and units that chose more from one team."""

    answers: int
    users: int
    first_successes: int
    second_successes: int
    first_wins: int
    second_wins: int
    first_preferred: int
    second_preferred: int


class OutcomeRepository(Repository):
    """What came of the experiments of one project; every method may raise AnswerTimedOut."""

    def split(self, experiment: ExperimentRow) -> Mapping[str, ArmOutcome]:
        """By the name of the arm; one that nobody saw is missing."""
        rows = self._rows(_SPLIT, self._values(experiment))
        return {row.arm: _arm_outcome(row) for row in rows if row.arm is not None}

    def drafted(self, experiment: ExperimentRow) -> DraftOutcome:
        """Of an interleaving."""
        first, second = (arm.name for arm in experiment.arms)
        values = {**self._values(experiment), "first": first, "second": second}
        (row,) = self._rows(_INTERLEAVED, values)
        return DraftOutcome(**{name: int(value) for name, value in row._mapping.items()})

    def by_version(self, experiment: ExperimentRow) -> Mapping[tuple[str | None, str | None], int]:
        """Answers by arm and by the version that made them, None without one."""
        values = {"project": self.project, "experiment": experiment.id}
        return {(arm, version): count for arm, version, count in self._rows(_BY_VERSION, values)}

    def _rows(self, statement: TextClause, values: Mapping[str, Any]) -> Sequence[Any]:
        try:
            return rows_in_time(self.session, statement, values, longest_s=LONGEST_S)
        except TookTooLong as error:
            raise AnswerTimedOut("The answers of the experiment were not counted", timeout_s=LONGEST_S) from error

    def _values(self, experiment: ExperimentRow) -> dict[str, Any]:
        return {
            "project": self.project,
            "experiment": experiment.id,
            "types": experiment.metric_types,
            "window_s": experiment.metric_window_s,
            "skew_s": CLOCK_SKEW_S,
            "since": experiment.started_at or experiment.created_at,
            "until": "infinity",
        }


def _arm_outcome(row: Any) -> ArmOutcome:
    return ArmOutcome(
        answers=int(row.answers),
        users=row.users,
        clicks=Moments(row.units, row.x, row.y, row.xx, row.xy, row.yy),
        conversions=Moments.of_shares(row.units, row.converted),
    )
