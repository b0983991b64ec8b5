"""Simulates users whose next item continues the topic and the mood of the last one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from app.demo.plan import MOODS, TOPICS, DemoItem

SHORTEST_HISTORY, LONGEST_HISTORY = 20, 40
"""Events of a user, both inclusive; small catalogues shorten them to a quarter of the warm items."""

KEEP, SWITCH_TOPIC, SWITCH_MOOD = 0.66, 0.16, 0.08
"""Chances of a step: same topic and mood; another favourite topic in the same mood; same topic in another mood.
What is left is an item from anywhere, chosen by appeal alone."""

WELL_KNOWN = 0.2
"""Appeal from which every user has heard of an item; below it, a share of them in proportion."""

PERIOD_S = 120 * 24 * 3600
"""All events fall into this many seconds before the end."""


@dataclass(frozen=True)
class Phase:
    """What a user likes for a while: one or two topics and a mood."""

    topics: tuple[str, ...]
    mood: str


@dataclass(frozen=True)
class Taste:
    """The ground truth of a user: one phase for each half of the history."""

    user_id: str
    early: Phase
    late: Phase


@dataclass(frozen=True)
class DemoEvent:
    """One rating: 4 or 5 where the item fits the taste of that moment, 2 to 4 where it was chance."""

    user_id: str
    item_id: str
    rating: int
    timestamp: int


def draw_tastes(count: int, seed: int) -> list[Taste]:
    """Draws the tastes of `count` users; the later phase keeps one topic and, more often than not, the mood."""
    rng = Random(f"tastes {seed}")
    return [_draw_taste(f"demo-user-{number + 1:03d}", rng) for number in range(count)]


def _draw_taste(user_id: str, rng: Random) -> Taste:
    early = Phase(tuple(rng.sample(TOPICS, rng.choice((1, 2, 2)))), rng.choice(MOODS))
    fresh = rng.choice([topic for topic in TOPICS if topic not in early.topics])
    late_mood = rng.choice(MOODS) if rng.random() < 0.4 else early.mood
    return Taste(user_id, early, Phase((fresh, early.topics[-1]), late_mood))


def simulate_events(items: Sequence[DemoItem], tastes: Sequence[Taste], end: datetime, seed: int) -> list[DemoEvent]:
    """Lets every user walk through the warm items, never twice to the same one.

    Args:
        items: The catalogue; cold items are never chosen.
        tastes: One a user.
        end: No event is later than this; must know its time zone.
        seed: Decides every choice.

    Returns:
        The events of all users in time order; a user's timestamps are strictly increasing.
    """
    warm = [item for item in items if not item.cold]
    last = int(end.timestamp())
    events = [event for taste in tastes for event in _walk(warm, taste, last, Random(f"walk {seed} {taste.user_id}"))]
    return sorted(events, key=lambda event: (event.timestamp, event.user_id))


def _walk(warm: Sequence[DemoItem], taste: Taste, end_s: int, rng: Random) -> list[DemoEvent]:
    length = min(rng.randint(SHORTEST_HISTORY, LONGEST_HISTORY), len(warm) // 4)
    times = sorted(rng.sample(range(end_s - PERIOD_S, end_s + 1), length))
    unseen, events = [item for item in warm if rng.random() < item.appeal / WELL_KNOWN], []
    for step, time in enumerate(times):
        phase = taste.early if step < length // 2 else taste.late
        if step in (0, length // 2):
            here = phase.topics[0], phase.mood
        wish = _next_wish(*here, phase, rng)
        item = _choose(unseen, wish, rng)
        unseen.remove(item)
        here = (item.topic, item.mood) if wish else here
        events.append(DemoEvent(taste.user_id, item.item_id, _rate(item, wish, rng), time))
    return events


def _next_wish(topic: str, mood: str, phase: Phase, rng: Random) -> tuple[str, str] | None:
    """Draws the next topic and mood; None stands for an item from anywhere."""
    chance = rng.random()
    if chance < KEEP:
        return topic, mood
    if chance < KEEP + SWITCH_TOPIC:
        return rng.choice([other for other in phase.topics if other != topic] or TOPICS), mood
    if chance < KEEP + SWITCH_TOPIC + SWITCH_MOOD:
        return topic, phase.mood if mood != phase.mood else rng.choice(MOODS)
    return None


def _choose(unseen: Sequence[DemoItem], wish: tuple[str, str] | None, rng: Random) -> DemoItem:
    """Chooses by appeal among the items nearest to the wish: both topic and mood, else the mood, else any."""
    if wish is None:
        nearest = list(unseen)
    else:
        topic, mood = wish
        nearest = [item for item in unseen if (item.topic, item.mood) == wish]
        nearest = nearest or [item for item in unseen if item.mood == mood and item.topic != topic] or list(unseen)
    return rng.choices(nearest, [item.appeal for item in nearest])[0]


def _rate(item: DemoItem, wish: tuple[str, str] | None, rng: Random) -> int:
    return rng.choice((4, 5, 5)) if wish == (item.topic, item.mood) else rng.choice((2, 3, 4))
