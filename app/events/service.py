"""Takes events in: told apart, stored once, and visible in the sequence state after the commit."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from redis.exceptions import RedisError

from app.core.types import ProjectId
from app.db.session import Transaction
from app.events.parsing import parse_events
from app.events.repository import EventRepository, NewEvent
from app.events.schemas import EventReport, EventResult, EventStatus
from app.stores.sequence_cache import SequenceWriter
from app.stores.sequence_state import SequenceEvent

log = structlog.get_logger(__name__)


class EventService:
    """Events of one project in one transaction."""

    def __init__(self, transaction: Transaction, project: ProjectId, *, sequences: SequenceWriter) -> None:
        self._transaction = transaction
        self._project = project
        self._sequences = sequences
        self._events = EventRepository(transaction, project)

    def record(self, raw_events: Sequence[Any]) -> EventReport:
        """Store what is valid and new; every event gets its own answer, in order.

        Args:
            raw_events: JSON values; one that is not an event is rejected and harms no other.
        """
        parsed = parse_events(raw_events, datetime.now(UTC))
        events = [event for event in parsed if isinstance(event, NewEvent)]
        # The first of several events with one id is the one that counts.
        unique = {event.event_id: event for event in reversed(events)}
        numbers = self._events.insert([event for event in events if unique[event.event_id] is event]) if events else {}
        self._update_sequences([unique[event_id] for event_id in numbers], numbers)
        return _report(parsed, set(numbers))

    def _update_sequences(self, events: Sequence[NewEvent], numbers: Mapping[str, int]) -> None:
        by_user: dict[str, list[SequenceEvent]] = {}
        for event in events:
            added = SequenceEvent(numbers[event.event_id], event.item_id, event.time_us, event.type)
            by_user.setdefault(event.user_id, []).append(added)
        if by_user:
            self._transaction.before_commit(lambda: _best_effort(self._sequences.mark, self._project, by_user))
            self._transaction.after_commit(lambda: _best_effort(self._sequences.append, self._project, by_user))


def _best_effort(tell: Callable[..., None], *args: Any) -> None:
    """The cache may be away: events are accepted all the same, and a state it kept expires by itself."""
    try:
        tell(*args)
    except RedisError as error:
        log.warning("sequence cache not told", error=str(error))


def _report(parsed: Sequence[NewEvent | EventResult], new: set[str]) -> EventReport:
    results: list[EventResult] = []
    for event in parsed:
        if isinstance(event, EventResult):
            results.append(event)
            continue
        status = EventStatus.ACCEPTED if event.event_id in new else EventStatus.DUPLICATE
        new.discard(event.event_id)
        results.append(EventResult(status=status, event_id=event.event_id))
    counts = {status: sum(result.status is status for result in results) for status in EventStatus}
    return EventReport(
        accepted=counts[EventStatus.ACCEPTED],
        duplicates=counts[EventStatus.DUPLICATE],
        rejected=counts[EventStatus.REJECTED],
        results=results,
    )
