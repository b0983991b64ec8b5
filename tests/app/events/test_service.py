from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.types import ProjectId
from app.db.session import Database
from app.events.parsing import identity
from app.events.repository import EventRepository, microseconds
from app.events.schemas import EventReport, EventStatus, EventWrite
from app.events.service import EventService
from app.projects.repository import ensure_project
from app.stores.sequence_cache import MemorySequenceWriter
from app.stores.sequence_state import SequenceEvent

T0 = 1_700_000_000


class Log:
    """Events of one project, with the cache's twin."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.cache = MemorySequenceWriter()
        with database.transaction() as transaction:
            self.project: ProjectId = ensure_project(transaction, "p")

    def record(self, *events: Any) -> EventReport:
        with self.database.transaction() as transaction:
            return EventService(transaction, self.project, sequences=self.cache).record(events)

    def newest(self, user: str, limit: int = 100) -> list[SequenceEvent]:
        with self.database.transaction() as transaction:
            return EventRepository(transaction, self.project).newest(user, limit=limit)


@pytest.fixture
def log(database_url: str) -> Iterator[Log]:
    database = Database(database_url, pool_size=2)
    yield Log(database)
    database.close()


def view(item: str, at: Any = T0, user: str = "u", **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "timestamp": at, **more}


def test_the_cache_gets_exactly_what_the_database_got(log: Log) -> None:
    log.record(view("a", T0 + 2), view("b", T0), view("c", T0 + 1, user="v"), view("a", T0 + 2))
    assert sorted(log.cache.marked) == ["u", "v"]
    for user in ("u", "v"):
        told = sorted(log.cache.appended[user], key=lambda event: (event.time_us, event.number))
        assert told == log.newest(user)
    assert [event.item_id for event in log.newest("u")] == ["b", "a"]


def test_nothing_new_tells_nothing(log: Log) -> None:
    log.record(view("a"))
    log.cache.marked.clear()
    report = log.record(view("a"), {"nonsense": 1})
    assert (report.accepted, report.duplicates, report.rejected) == (0, 1, 1)
    assert log.cache.marked == []


def test_a_rolled_back_request_tells_nothing(log: Log) -> None:
    with pytest.raises(ZeroDivisionError), log.database.transaction() as transaction:  # noqa: PT012
        EventService(transaction, log.project, sequences=log.cache).record([view("a")])
        raise ZeroDivisionError
    assert (log.cache.marked, log.cache.appended) == ([], {})


def test_equal_times_keep_the_order_of_the_request(log: Log) -> None:
    items = [f"i{n}" for n in range(200)]
    log.record(*(view(item) for item in items))
    assert [event.item_id for event in log.newest("u", 500)] == items
    assert [event.item_id for event in log.newest("u", 3)] == items[-3:]


def test_of_one_id_in_a_batch_the_first_counts(log: Log) -> None:
    report = log.record(view("a", event_id="x"), view("b", event_id="x"), view("c", event_id="y"))
    assert [result.status for result in report.results] == [
        EventStatus.ACCEPTED,
        EventStatus.DUPLICATE,
        EventStatus.ACCEPTED,
    ]
    assert [event.item_id for event in log.newest("u")] == ["a", "c"]


def test_without_an_id_user_item_type_and_time_tell_events_apart(log: Log) -> None:
    base = view("a")
    others = [view("b"), view("a", T0 + 1), view("a", user="v"), view("a", type="like"), view("a", T0 + 0.000001)]
    assert log.record(base, *others).accepted == len(others) + 1
    again = log.record(
        base, view("a", f"{datetime.fromtimestamp(T0, UTC):%Y-%m-%dT%H:%M:%S}+00:00"), view("a", value=3)
    )
    assert again.duplicates == 3


def test_the_same_moment_in_another_zone_is_the_same_event(log: Log) -> None:
    report = log.record(
        view("a", "2024-03-01T12:00:00Z"),
        view("a", "2024-03-01T14:00:00+02:00"),
        view("a", "2024-03-01T12:00:00"),
        view("a", datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()),
    )
    assert (report.accepted, report.duplicates) == (1, 3)
    assert log.newest("u")[0].time_us == int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000


def test_derived_ids_cannot_be_forged_by_joining() -> None:
    one = EventWrite(user_id="a b", item_id="c", type="view")
    two = EventWrite(user_id="a", item_id="b c", type="view")
    time = datetime(2024, 1, 1, tzinfo=UTC)
    assert identity(one, time) != identity(two, time)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_microseconds_are_exact(time: datetime) -> None:
    delta = time - datetime(1970, 1, 1, tzinfo=UTC)
    assert microseconds(time) == (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def test_projects_keep_their_ids_apart(log: Log) -> None:
    log.record(view("a", event_id="x"))
    with log.database.transaction() as transaction:
        other = ensure_project(transaction, "q")
        report = EventService(transaction, other, sequences=log.cache).record([view("a", event_id="x")])
    assert report.accepted == 1
    assert len(log.newest("u")) == 1
