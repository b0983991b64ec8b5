"""Writes answers and events as serving would have, for tests of what is computed from them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from app.db.tables import AnswerRow, EventRow, ModelVersionRow
from tests.fixtures.service import Service

NOW = datetime(2100, 1, 1, tzinfo=UTC)
"""Later than any experiment was made."""


def add_answer(
    service: Service, *, user: str | None = "ada", items: Sequence[str] = ("a", "b", "c"), **fields: Any
) -> UUID:
    """One answer, without exploration unless told."""
    answer_id = uuid4()
    at = fields.pop("at", NOW)
    values: dict[str, Any] = {
        "snapshot": "1:1:",
        "options": {},
        "rotated": {},
        "rank_offset": 0,
        "scores": [None] * len(items),
        "propensities": [1.0] * len(items),
        "sources": ["personal"] * len(items),
        **fields,
    }
    with service.context.database.transaction() as transaction:
        transaction.session.add(
            AnswerRow(
                project_id=service.project,
                id=answer_id,
                at=at,
                at_s=at.timestamp(),
                user_id=user,
                item_ids=list(items),
                **values,
            )
        )
    return answer_id


def add_event(
    service: Service,
    answer: UUID | None,
    item: str,
    *,
    user: str = "ada",
    type_: str = "click",
    after_s: float = 60.0,
) -> None:
    """One event that names an answer."""
    with service.context.database.transaction() as transaction:
        transaction.session.add(
            EventRow(
                project_id=service.project,
                event_id=str(uuid4()),
                user_id=user,
                item_id=item,
                type=type_,
                timestamp=NOW + timedelta(seconds=after_s),
                recommendation_id=answer,
            )
        )


def add_version(service: Service, number: int, **fields: Any) -> int:
    """A version that exists in the database only."""
    manifest = {"modalities": [], "item_count": 0, "metrics": {}, "parity": {}, "meta": {}}
    with service.context.database.transaction() as transaction:
        known = transaction.session.scalars(
            select(ModelVersionRow.id).where(
                ModelVersionRow.project_id == service.project, ModelVersionRow.number == number
            )
        ).one_or_none()
        if known is not None:
            return known
        row = ModelVersionRow(
            project_id=service.project, number=number, method="none", artifact="nowhere", manifest=manifest, **fields
        )
        transaction.session.add(row)
        transaction.session.flush()
        return row.id
