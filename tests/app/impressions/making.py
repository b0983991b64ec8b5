"""Answers and events made for tests of what is counted of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.core.ids import uuid7
from app.core.types import ProjectId
from app.db.session import Transaction
from app.events.repository import EventRepository, NewEvent
from app.impressions.record import AnswerRecord, HistoryMark, ShownItem, ShownItems

T0 = 1_760_000_000.0


def answer(project: ProjectId, shown: Sequence[str], **fields: Any) -> AnswerRecord:
    """A personal answer to `u`, given at `T0`; any field may be another."""
    base: dict[str, Any] = {
        "id": uuid7(),
        "project": project,
        "user_id": "u",
        "at": T0,
        "version_id": 7,
        "snapshot": "10:10:",
        "scenario": None,
        "experiment_id": None,
        "arm": None,
        "options": {"limit": 10},
        "session": None,
        "history": HistoryMark(2, 9, bytes(range(16))),
        "rotated": {},
        "pool": [],
        "fallback": None,
        "offset": 0,
        "previous_id": None,
        "items": ShownItems.of(ShownItem(item, 1.5 - place, 1.0, "personal") for place, item in enumerate(shown)),
        "rivals": [],
    }
    return AnswerRecord(**{**base, **fields})


def add_events(transaction: Transaction, project: ProjectId, *events: tuple[UUID | None, str, str, float]) -> None:
    """Events as (recommendation id, item, type, seconds since 1970)."""
    repository = EventRepository(transaction, project)
    made = [
        NewEvent(str(uuid7()), "u", item, kind, None, datetime.fromtimestamp(at, UTC), named)
        for named, item, kind, at in events
    ]
    repository.insert(made)
