"""Times against brute force: every minute is looked at."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from celery.schedules import crontab_parser
from hypothesis import given, settings
from hypothesis import strategies as st

from app.lifecycle.cron import DAYS, MONTHS, CronError, parse_cron

MINUTE = timedelta(minutes=1)
SPANS = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


def members(text: str, lowest: int, highest: int) -> set[int]:
    """The library's own reading of a field."""
    return set(crontab_parser(highest - lowest + 1, lowest).parse(text))


def brute_force(text: str, after: datetime, minutes: int) -> datetime | None:
    minute, hour, day, month, weekday = (members(field, *span) for field, span in zip(text.split(), SPANS, strict=True))
    fields = text.split()
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    moment = after.replace(second=0, microsecond=0) + MINUTE
    for _ in range(minutes):
        days = moment.day in day, moment.isoweekday() % 7 in weekday
        fits = any(days) if either else all(days)
        if fits and moment.minute in minute and moment.hour in hour and moment.month in month:
            return moment
        moment += MINUTE
    return None


@st.composite
def fields(draw: st.DrawFn, lowest: int, highest: int) -> str:
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(lowest, highest))
        last = draw(st.integers(first, highest))
        step = draw(st.integers(1, 20))
        parts.append(draw(st.sampled_from(["*", f"{first}", f"{first}-{last}", f"*/{step}", f"{first}-{last}/{step}"])))
    return ",".join(parts)


@settings(max_examples=150, deadline=None)
@given(
    text=st.tuples(*(fields(*span) for span in SPANS)).map(" ".join),
    after=st.datetimes(datetime(2023, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_time_is_the_first_minute_that_fits(text: str, after: datetime) -> None:
    week = 7 * 24 * 60
    expected = brute_force(text, after, week)
    try:
        found = parse_cron(text).next_after(after)
    except CronError:
        assert expected is None
        return
    assert found is not None
    assert found == expected if expected else found > after + timedelta(minutes=week)


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0 3 * * *", "2026-01-31T03:00:00", "2026-02-01T03:00:00"),
        ("0 3 * * *", "2026-01-31T02:59:59", "2026-01-31T03:00:00"),
        ("0 0 29 feb *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00"),
        ("30 9 * * mon-fri", "2026-01-02T09:30:00", "2026-01-05T09:30:00"),
        ("0 0 * * 7", "2026-01-05T00:00:00", "2026-01-11T00:00:00"),
        ("0 0 * * SUN", "2026-01-05T00:00:00", "2026-01-11T00:00:00"),
        ("0 0 13 * fri", "2026-01-03T00:00:00", "2026-01-09T00:00:00"),
        ("5/20 * * * *", "2026-01-01T00:26:00", "2026-01-01T00:45:00"),
        ("59 23 31 12 *", "2026-12-31T23:59:00", "2027-12-31T23:59:00"),
    ],
)
def test_times_worked_out_by_hand(text: str, after: str, expected: str) -> None:
    moment = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert parse_cron(text).next_after(moment) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_it_counts_in_utc_whatever_the_zone_of_the_moment() -> None:
    moment = datetime(2026, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=5)))
    assert parse_cron("0 22 * * *").next_after(moment) == datetime(2025, 12, 31, 22, 0, tzinfo=UTC)


def test_names_stand_for_their_numbers() -> None:
    assert parse_cron(f"0 0 1 {','.join(MONTHS)} *").months == frozenset(range(1, 13))
    assert parse_cron(f"0 0 * * {','.join(DAYS)}").weekdays == frozenset(range(7))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 8",
        "*/0 * * * *",
        "* * * * mon-",
        "-1 * * * *",
        "1-5! * * * *",
        "5-1 * * * *",
        "* * * mon *",
        "* * * * jan",
        "a * * * *",
        "1,,2 * * * *",
        "1, * * * *",
        "@daily * * * *",
        "٣ * * * *",
        "0 0 31 2 *",
        "0 0 30 feb *",
        "* * * * */99999",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CronError):
        parse_cron(text)
