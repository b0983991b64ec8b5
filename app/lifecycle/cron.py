"""Times by five fields, as cron has them, in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST_DAYS = 8 * 366
"""The 29th of February comes again within eight years."""
_PART = re.compile(r"(\*|[a-z0-9]+(?:-[a-z0-9]+)?)(?:/([0-9]{1,4}))?", re.ASCII)


class CronError(ValueError):
    """Not a time; the message says which field is wrong, and why."""


@dataclass(frozen=True)
class _Field:
    """One of the five: its bounds, and the names that stand for its numbers from the lowest on."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> frozenset[int]:
        """Every number of a list of ranges with steps."""
        return frozenset(number for part in text.split(",") for number in self._part(part))

    def _part(self, part: str) -> range:
        match = _PART.fullmatch(part)
        if match is None:
            raise CronError(
                f"{self.name}: '{part}' is not '*', a number, a name, a range, or one of these with '/step'"
            )
        span, step_text = match.groups()
        step = int(step_text) if step_text else 1
        if step < 1:
            raise CronError(f"{self.name}: the step of '{part}' must be at least 1")
        first, last = self._span(span, open_ended=step_text is not None)
        if first > last:
            raise CronError(f"{self.name}: '{part}' ends before it begins")
        return range(first, last + 1, step)

    def _span(self, span: str, *, open_ended: bool) -> tuple[int, int]:
        if span == "*":
            return self.lowest, self.highest
        begin, dash, end = span.partition("-")
        first = self._number(begin)
        if dash:
            return first, self._number(end)
        return first, self.highest if open_ended else first

    def _number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.lowest
        if not (text.isdecimal() and len(text) <= 2 and self.lowest <= int(text) <= self.highest):
            raise CronError(f"{self.name}: '{text}' is not between {self.lowest} and {self.highest}")
        return int(text)


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("day of the week", 0, 7, DAYS),
)


@dataclass(frozen=True)
class Cron:
    """When something is to be done: minutes, hours, days of the month, months, days of the week (0 is Sunday).

    Where both kinds of day are given, either will do, as POSIX has it (IEEE Std 1003.1, crontab).
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    def next_after(self, moment: datetime) -> datetime | None:
        """The first time after a moment, in UTC; None if there is none (a 31st of February)."""
        start = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        earliest = (start.hour, start.minute)
        for offset in range(LONGEST_DAYS):
            day = start + timedelta(days=offset)
            if not self._matches(day):
                continue
            times = ((hour, minute) for hour in sorted(self.hours) for minute in sorted(self.minutes))
            found = next((time for time in times if offset or time >= earliest), None)
            if found is not None:
                return day.replace(hour=found[0], minute=found[1])
        return None

    def _matches(self, day: datetime) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week


def parse_cron(text: str) -> Cron:
    """Read `minute hour day-of-month month day-of-week`, each a list of numbers, names, ranges and steps.

    Raises:
        CronError: it is not one, or such a day never comes.
    """
    words = text.lower().split()
    if len(words) != len(_FIELDS):
        raise CronError(f"must have {len(_FIELDS)} fields, it has {len(words)}")
    minutes, hours, days, months, weekdays = (field.parse(word) for field, word in zip(_FIELDS, words, strict=True))
    either = not words[2].startswith("*") and not words[4].startswith("*")
    cron = Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either)
    if cron.next_after(datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise CronError("there is no such day")
    return cron
