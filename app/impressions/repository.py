"""Queries for recorded answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import orjson
from sqlalchemy import CursorResult, select, text

from app.core.types import ProjectId
from app.db.repository import Repository
from app.db.session import Transaction
from app.db.tables import AnswerPoolRow, AnswerRow
from app.impressions.record import AnswerRecord
from app.impressions.rows import decode_answer, encode_answer, pool_digest

_PLAIN = {
    "id": "uuid",
    "user_id": "text",
    "version_id": "bigint",
    "snapshot": "text",
    "scenario": "text",
    "experiment_id": "bigint",
    "arm": "text",
    "options": "jsonb",
    "session": "jsonb",
    "history_count": "integer",
    "history_through": "bigint",
    "rotated": "jsonb",
    "fallback": "text",
    "rank_offset": "integer",
    "previous_id": "uuid",
    "item_ids": "text[]",
    "scores": "float8[]",
    "propensities": "float8[]",
    "sources": "text[]",
    "rivals": "jsonb",
}
"""Columns that are in JSON as they are in the table, with their types."""

# One parameter for any number of answers: arrays of arrays would be flattened by unnest. The join drops the answers of
# a project that was deleted meanwhile, which would fail all others.
_INSERT = text(f"""
INSERT INTO answers (project_id, at, at_s, history_digest, pool, {", ".join(_PLAIN)})
SELECT a.project_id, to_timestamp(a.at_s), a.at_s, decode(a.history_digest, 'hex'), decode(a.pool, 'hex'),
    {", ".join(f"a.{name}" for name in _PLAIN)}
FROM json_to_recordset(CAST(:answers AS json)) AS a (
    project_id bigint, at_s float8, history_digest text, pool text,
    {", ".join(f"{name} {kind}" for name, kind in _PLAIN.items())}
)
JOIN projects ON projects.id = a.project_id
ON CONFLICT (project_id, id) DO NOTHING
""")

_INSERT_POOLS = text("""
INSERT INTO answer_pools (project_id, digest, item_ids, last_at)
SELECT p.project_id, decode(p.digest, 'hex'), p.item_ids, to_timestamp(p.last_s)
FROM json_to_recordset(CAST(:pools AS json)) AS p (project_id bigint, digest text, item_ids text[], last_s float8)
JOIN projects ON projects.id = p.project_id
ORDER BY p.project_id, p.digest
ON CONFLICT (project_id, digest) DO UPDATE SET last_at = greatest(answer_pools.last_at, EXCLUDED.last_at)
""")


def insert_answers(
    transaction: Transaction, answers: Sequence[AnswerRecord], rows: Sequence[bytes] | None = None
) -> None:
    """Write answers of any projects in one statement; one that is there already stays as it is.

    Args:
        transaction: writes.
        answers: what was answered.
        rows: the same by `encode_answer`, where that has been done.

    Raises:
        TypeError: something in an answer is not JSON.
    """
    if rows is None:
        rows = [encode_answer(answer) for answer in answers]
    pools: dict[tuple[ProjectId, bytes], dict[str, Any]] = {}
    for answer in answers:
        if answer.pool:
            digest = pool_digest(answer.pool)
            pool = {"project_id": answer.project, "digest": digest.hex(), "item_ids": answer.pool, "last_s": answer.at}
            known = pools.setdefault((answer.project, digest), pool)
            known["last_s"] = max(known["last_s"], answer.at)
    if pools:
        transaction.session.execute(_INSERT_POOLS, {"pools": orjson.dumps(list(pools.values())).decode()})
    transaction.session.execute(_INSERT, {"answers": f"[{b','.join(rows).decode()}]"})


class AnswerRepository(Repository):
    """The recorded answers of one project."""

    def find(self, answer_id: UUID) -> AnswerRecord | None:
        """One answer."""
        row = self.session.get(AnswerRow, (self.project, answer_id))
        return None if row is None else decode_answer(row, self._pool(row.pool))

    def _pool(self, digest: bytes | None) -> Sequence[str]:
        row = None if digest is None else self.session.get(AnswerPoolRow, (self.project, digest))
        return [] if row is None else row.item_ids

    def seen_positions(self, answer_id: UUID) -> Sequence[int] | None:
        """Places of an answer that were reported as seen; None without a report."""
        query = select(AnswerRow.seen_positions).where(AnswerRow.project_id == self.project, AnswerRow.id == answer_id)
        return self.session.scalars(query).one_or_none()

    def hold(self, answer_id: UUID) -> AnswerRow | None:
        """The row of an answer, locked."""
        query = select(AnswerRow).where(AnswerRow.project_id == self.project, AnswerRow.id == answer_id)
        return self.session.scalars(query.with_for_update()).one_or_none()


_DELETE_OLD = """
DELETE FROM {table} AS one USING (
    SELECT old.project_id, old.{key} FROM projects CROSS JOIN LATERAL (
        SELECT project_id, {key} FROM {table} WHERE project_id = projects.id AND {time} < :before LIMIT :limit
    ) AS old
) AS old
WHERE one.project_id = old.project_id AND one.{key} = old.{key} AND one.{time} < :before
"""
_DELETE_OLD_ANSWERS = text(_DELETE_OLD.format(table="answers", key="id", time="at"))
_DELETE_OLD_POOLS = text(_DELETE_OLD.format(table="answer_pools", key="digest", time="last_at"))


def delete_answers(transaction: Transaction, *, before: datetime, limit: int) -> int:
    """Delete answers older than `before`, at most `limit` of each project; how many there were.

    Candidates of fallbacks go with the newest answer that was made from them.
    """
    parameters = {"before": before, "limit": limit}
    deleted = transaction.session.execute(_DELETE_OLD_ANSWERS, parameters)
    transaction.session.execute(_DELETE_OLD_POOLS, parameters)
    return cast(CursorResult[Any], deleted).rowcount
