"""Answers as rows of the database, and back."""

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from app.core.types import ProjectId, VersionId
from app.db.tables import AnswerRow
from app.impressions.record import AnswerRecord, HistoryMark, Rival, ShownItems

DIGEST_BYTES = 16


def pool_digest(item_ids: Sequence[str]) -> bytes:
    """What tells one list of candidates from another (BLAKE2b)."""
    return hashlib.blake2b(orjson.dumps(item_ids), digest_size=DIGEST_BYTES).digest()


def encode_answer(answer: AnswerRecord) -> bytes:
    """One JSON object, with the columns of `answers` as its keys; bytes are in hex.

    Raises:
        TypeError: options or session are not JSON.
    """
    history = answer.history
    digest = pool_digest(answer.pool) if answer.pool else None
    row = {
        "project_id": answer.project,
        "id": answer.id,
        "at_s": answer.at,
        "user_id": answer.user_id,
        "version_id": answer.version_id,
        "snapshot": answer.snapshot,
        "scenario": answer.scenario,
        "experiment_id": answer.experiment_id,
        "arm": answer.arm,
        "options": answer.options,
        "session": None if answer.session is None else list(answer.session),
        "history_count": history and history.count,
        "history_through": history and history.through,
        "history_digest": history and history.digest.hex(),
        "rotated": answer.rotated,
        "pool": digest and digest.hex(),
        "fallback": answer.fallback,
        "rank_offset": answer.offset,
        "previous_id": answer.previous_id,
        "item_ids": answer.items.item_ids,
        "scores": answer.items.scores,
        "propensities": answer.items.propensities,
        "sources": answer.items.sources,
        "rivals": [list(rival) for rival in answer.rivals] or None,
    }
    return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)


def decode_answer(row: AnswerRow, pool: Sequence[str]) -> AnswerRecord:
    """The record that a row was made of; `pool` are the ids that its digest names."""
    history = None
    if row.history_digest is not None:
        history = HistoryMark(row.history_count or 0, row.history_through or 0, bytes(row.history_digest))
    return AnswerRecord(
        id=row.id,
        project=ProjectId(row.project_id),
        user_id=row.user_id,
        at=row.at_s,
        version_id=None if row.version_id is None else VersionId(row.version_id),
        snapshot=row.snapshot,
        scenario=row.scenario,
        experiment_id=row.experiment_id,
        arm=row.arm,
        options=row.options,
        session=row.session,
        history=history,
        rotated=_times(row.rotated),
        pool=pool,
        fallback=row.fallback,
        offset=row.rank_offset,
        previous_id=row.previous_id,
        items=ShownItems(row.item_ids, row.scores, row.propensities, row.sources),
        rivals=[Rival(*rival) for rival in row.rivals or ()],
    )


def _times(rotated: dict[str, Any]) -> dict[str, float]:
    """JSON writes a whole second without its point."""
    return {item_id: float(time) for item_id, time in rotated.items()}
