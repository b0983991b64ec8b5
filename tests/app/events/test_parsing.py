"""What is told at once is what is told one by one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.events.parsing import _parse, _PlainEvent, parse_events
from app.events.repository import NewEvent
from app.events.schemas import EventResult, EventWrite

NOW = datetime(2026, 1, 1, tzinfo=UTC)

names = st.one_of(
    st.text(st.sampled_from("ab./\x00\x1f\x20\x7f\x80\n…"), max_size=5),
    st.text(max_size=300),
    st.sampled_from([".", "..", "...", "....", ".a", "..a", "a" * 256, "a" * 257, "é" * 256, "\ud800"]),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), names)
moments = st.one_of(
    scalars, st.datetimes(timezones=st.timezones()).map(datetime.isoformat), st.datetimes().map(datetime.isoformat)
)
events = st.fixed_dictionaries(
    {"user_id": st.one_of(names, scalars), "item_id": names},
    optional={
        "type": st.one_of(st.sampled_from(["view", "two words", "a.b:c-d"]), scalars),
        "value": scalars,
        "timestamp": moments,
        "event_id": st.one_of(names, scalars),
        "recommendation_id": st.one_of(scalars, st.uuids().map(str)),
        "more": scalars,
    },
)


def _or_none(kind: type[EventWrite], raw: Any) -> EventWrite | None:
    try:
        return kind.model_validate(raw)
    except ValidationError:
        return None


@given(names)
@example("..\n")
def test_the_pattern_takes_the_names_that_can_be_addressed(name: str) -> None:
    raw = {"user_id": name, "item_id": "i"}
    assert (_or_none(_PlainEvent, raw) is None) == (_or_none(EventWrite, raw) is None)


@given(st.lists(st.one_of(events, scalars), max_size=4))
def test_together_they_get_the_answers_that_they_get_alone(raw_events: list[Any]) -> None:
    alone = [answer for raw in raw_events for answer in parse_events([raw], NOW)]
    assert parse_events(raw_events, NOW) == alone == [_parse(raw, NOW) for raw in raw_events]


@pytest.mark.parametrize("days", [-1, 0, 2])
def test_a_time_that_cannot_be_is_refused_among_plain_ones(days: int) -> None:
    """`EventWrite` asks the clock itself: these are a day away from both bounds of any day the test may run on."""
    far = {-1: datetime(1969, 12, 31, tzinfo=UTC), 0: NOW, 2: datetime.now(UTC) + timedelta(days=2)}[days]
    good = {"user_id": "u", "item_id": "i"}
    first, second = parse_events([good, {**good, "timestamp": far.isoformat()}], datetime.now(UTC))
    assert isinstance(first, NewEvent)
    assert isinstance(second, NewEvent if days == 0 else EventResult)


def test_times_without_a_zone_are_utc_and_others_become_it() -> None:
    good = {"user_id": "u", "item_id": "i"}
    times = ["2024-03-01T12:00:00", "2024-03-01T14:00:00+02:00", 1709294400, None]
    parsed = parse_events([{**good, "timestamp": time} for time in times], NOW)
    noon = datetime(2024, 3, 1, 12, tzinfo=UTC)
    assert [event.timestamp for event in parsed if isinstance(event, NewEvent)] == [noon, noon, noon, NOW]
