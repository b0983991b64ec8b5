"""Reads events from JSON values: all at once where nothing is unusual, one by one where something is."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import StringConstraints, TypeAdapter, ValidationError

from app.core.errors import message_of
from app.events.repository import NewEvent
from app.events.schemas import CLOCK_SKEW, EARLIEST, EventResult, EventStatus, EventWrite

_Plain = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^(?:\.{0,2}[^\x00-\x1f\x7f/.]|\.{3})[^\x00-\x1f\x7f/]*$"),
]
"""An `Identifier`, told by one pattern: neither '.' nor '..', no '/' and no control character."""


class _PlainEvent(EventWrite):
    """The same event, checked without calling Python: what it takes, `EventWrite` takes as well.

    What it refuses `EventWrite` has to look at: that one knows what to say about it.
    """

    user_id: _Plain
    item_id: _Plain
    timestamp: datetime | None = None
    event_id: _Plain | None = None


_PLAIN_EVENTS: TypeAdapter[list[_PlainEvent]] = TypeAdapter(list[_PlainEvent])


def parse_events(raw_events: Sequence[Any], now: datetime) -> list[NewEvent | EventResult]:
    """An event for each value, or why it is none.

    Args:
        raw_events: JSON values.
        now: the time of events that do not say one.
    """
    try:
        plain = _PLAIN_EVENTS.validate_python(list(raw_events))
    except ValidationError:
        return [_parse(raw, now) for raw in raw_events]
    latest = now + CLOCK_SKEW
    return [
        _new_event(event, time) if EARLIEST <= (time := _moment(event, now)) <= latest else _parse(raw, now)
        for event, raw in zip(plain, raw_events, strict=True)
    ]


def identity(event: EventWrite, time: datetime) -> str:
    """The client's id, or one made from user, item, type and time (in UTC)."""
    if event.event_id is not None:
        return event.event_id
    told_apart = "\x00".join((event.user_id, event.item_id, event.type, time.isoformat()))
    return "auto:" + hashlib.sha256(told_apart.encode()).hexdigest()[:40]


def _parse(raw: Any, now: datetime) -> NewEvent | EventResult:
    try:
        event = EventWrite.model_validate(raw)
    except ValidationError as error:
        errors = [
            {"field": ".".join(map(str, one["loc"])) or "event", "message": message_of(one)} for one in error.errors()
        ]
        return EventResult(status=EventStatus.REJECTED, errors=errors)
    return _new_event(event, _moment(event, now))


def _moment(event: EventWrite, now: datetime) -> datetime:
    """When it happened; a time without a zone is UTC."""
    time = event.timestamp
    if time is None:
        return now
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _new_event(event: EventWrite, time: datetime) -> NewEvent:
    time = time.astimezone(UTC)
    return NewEvent(
        identity(event, time), event.user_id, event.item_id, event.type, event.value, time, event.recommendation_id
    )
