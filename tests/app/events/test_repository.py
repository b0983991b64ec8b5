"""What a training reads of the events."""

from datetime import UTC, datetime
from typing import Any

from app.core.types import ProjectId
from app.db.session import Database
from app.events.repository import EventRepository, NewEvent, UserSequence
from app.projects.repository import ensure_project


def _event(user: str, item: str, time: datetime) -> NewEvent:
    return NewEvent(f"{user}-{item}-{time.isoformat()}", user, item, "view", None, time)


def _at(*parts: Any) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def test_sequences_have_items_and_whole_seconds_in_the_order_of_time(database_url: str) -> None:
    late, early = _at(2026, 1, 1, 0, 0, 1, 999_999), _at(1969, 12, 31, 23, 59, 59, 500_000)
    database = Database(database_url, pool_size=2)
    with database.transaction() as transaction:
        project: ProjectId = ensure_project(transaction, "p")
        events = EventRepository(transaction, project)
        events.insert([_event("u", "b", late), _event("v", "a", late), _event("u", "a", early), _event("u", "c", late)])
        until = events.newest_number()
        events.insert([_event("u", "too late", late)])
        found = list(events.sequences(until=until))
    database.close()
    # Half a second before 1970 lies in second -1; 2026 begins at 1,767,225,600.
    assert found == [
        UserSequence("u", ["a", "b", "c"], [-1, 1_767_225_601, 1_767_225_601], late),
        UserSequence("v", ["a"], [1_767_225_601], late),
    ]


def test_a_past_is_that_of_its_number_whatever_came_later(database_url: str) -> None:
    """An event that is stored later with an earlier time was not there yet: it has made nothing seen."""
    database = Database(database_url, pool_size=2)
    with database.transaction() as transaction:
        events = EventRepository(transaction, ensure_project(transaction, "p"))
        events.insert([_event("u", item, _at(2026, 1, day)) for item, day in (("a", 1), ("b", 2), ("c", 3))])
        through = events.newest_number()
        events.insert([_event("u", "d", _at(2025, 1, 1)), _event("u", "e", _at(2026, 2, 1))])
        then = events.past("u", limit=2, through=through)
        now = events.past("u", limit=2)
        whole = events.past("u", limit=9)
    database.close()
    assert (then.item_ids, [item.item_id for item in then.older]) == (["b", "c"], ["a"])
    assert (now.item_ids, {item.item_id for item in now.older}) == (["c", "e"], {"a", "b", "d"})
    assert (whole.item_ids, whole.older) == (["d", "a", "b", "c", "e"], [])
