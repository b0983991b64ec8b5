"""The simulated events: what a content oracle can know of the next item, and what popularity can."""

from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from app.demo.plan import DemoItem, plan_items
from app.demo.walk import PERIOD_S, DemoEvent, draw_tastes, simulate_events

END = datetime(2026, 7, 1, tzinfo=UTC)
ITEMS = plan_items(240, 7)
TASTES = draw_tastes(300, 7)
EVENTS = simulate_events(ITEMS, TASTES, END, 7)


def histories(events: list[DemoEvent]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for event in events:
        found[event.user_id].append(event.item_id)
    return found


def hit_rate(items: list[DemoItem], events: list[DemoEvent], score: Callable[[DemoItem, DemoItem], float]) -> float:
    """HR@10 of the last item of every user, over the whole catalogue without what was seen."""
    by_id = {item.item_id: item for item in items}
    hits = 0
    users = histories(events).values()
    for *seen, target in users:
        last = by_id[seen[-1]]
        unseen = [item for item in items if item.item_id not in seen]
        ranked = sorted(unseen, key=lambda item, last=last: score(item, last), reverse=True)
        hits += target in [item.item_id for item in ranked[:10]]
    return hits / len(users)


@pytest.mark.parametrize("seed", [1, 7])
def test_content_beats_popularity_by_far_and_needs_topic_and_mood(seed: int) -> None:
    items = plan_items(240, seed)
    events = simulate_events(items, draw_tastes(300, seed), END, seed)
    popularity = Counter(item for *seen, _ in histories(events).values() for item in seen)

    def tie_break(item: DemoItem) -> float:
        return popularity[item.item_id] / 10_000

    popular = hit_rate(items, events, lambda item, last: tie_break(item))
    topic = hit_rate(items, events, lambda item, last: (item.topic == last.topic) + tie_break(item))
    mood = hit_rate(items, events, lambda item, last: (item.mood == last.mood) + tie_break(item))
    both = hit_rate(
        items, events, lambda item, last: (item.topic == last.topic) + (item.mood == last.mood) + tie_break(item)
    )
    assert both > 5 * popular
    assert both > 1.4 * max(topic, mood)
    assert both > 0.45


def test_histories_have_20_to_40_different_items() -> None:
    lengths = [len(history) for history in histories(EVENTS).values()]
    assert len(lengths) == 300
    assert (min(lengths), max(lengths)) == (20, 40)
    assert all(len(set(history)) == len(history) for history in histories(EVENTS).values())


def test_times_end_at_the_end_and_increase_for_a_user() -> None:
    times = [event.timestamp for event in EVENTS]
    assert times == sorted(times)
    assert END.timestamp() - PERIOD_S <= times[0]
    assert times[-1] <= END.timestamp()
    assert len({(event.user_id, event.timestamp) for event in EVENTS}) == len(EVENTS)


def test_cold_items_have_no_event_and_rare_ones_few() -> None:
    count = Counter(event.item_id for event in EVENTS)
    assert not any(count[item.item_id] for item in ITEMS if item.cold)
    assert sum(0 < number < 10 for number in count.values()) >= 12


def test_popularity_is_moderately_skewed() -> None:
    count = sorted(Counter(event.item_id for event in EVENTS).values(), reverse=True)
    # A tenth of the catalogue would have a tenth of the events if all were alike.
    assert 0.13 < sum(count[:24]) / len(EVENTS) < 0.3


def test_ratings_tell_taste_from_chance() -> None:
    assert {event.rating for event in EVENTS} <= {2, 3, 4, 5}
    assert sum(event.rating >= 4 for event in EVENTS) / len(EVENTS) > 0.6


def test_the_taste_of_a_phase_is_what_is_chosen_most() -> None:
    by_id = {item.item_id: item for item in ITEMS}
    for phase, half in (("early", slice(0, 8)), ("late", slice(-8, None))):
        hits = [
            by_id[item].mood == getattr(taste, phase).mood
            for taste in TASTES
            for item in histories(EVENTS)[taste.user_id][half]
        ]
        # By chance alone: one mood of four.
        assert sum(hits) / len(hits) > 0.55


def test_a_small_catalogue_shortens_histories() -> None:
    items = plan_items(40, 7)
    events = simulate_events(items, draw_tastes(20, 7), END, 7)
    # 40 items, 4 of them cold: a quarter of 36.
    assert {len(history) for history in histories(events).values()} == {9}


def test_events_follow_the_seed() -> None:
    assert simulate_events(ITEMS, TASTES, END, 7) == EVENTS
    assert simulate_events(ITEMS, TASTES, END, 8) != EVENTS
