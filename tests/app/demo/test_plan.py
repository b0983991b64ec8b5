"""The planned items: balance, missing modalities, moods and cold items."""

from collections import Counter

import pytest

from app.demo.plan import MODALITIES, MOODS, TOPICS, plan_items

ITEMS = plan_items(240, 7)


def test_topics_and_moods_are_balanced() -> None:
    # 240 items over 10 topics x 4 moods: 6 for each pair.
    assert Counter((item.topic, item.mood) for item in ITEMS) == {
        (topic, mood): 6 for topic in TOPICS for mood in MOODS
    }


def test_a_quarter_lacks_modalities_and_none_lacks_all() -> None:
    # 5% + 5% + 4% + 4% + 4% + 3% of 240, each rounded: 12 + 12 + 10 + 10 + 10 + 7.
    assert sum(item.modalities != set(MODALITIES) for item in ITEMS) == 61
    assert all(item.modalities and item.modalities <= set(MODALITIES) for item in ITEMS)
    assert {frozenset({name}) for name in ("text", "image", "audio")} <= {item.modalities for item in ITEMS}


def test_a_tenth_is_cold_and_a_tenth_is_rare() -> None:
    assert sum(item.cold for item in ITEMS) == 24
    # A rare item keeps 0.015 of an appeal whose 99.9th percentile is exp(0.7 * 3.1) = 8.8.
    assert sum(0 < item.appeal < 0.015 * 8.8 for item in ITEMS) >= 24
    assert any(item.cold and item.modalities == set(MODALITIES) for item in ITEMS)


def test_a_mood_shows_in_one_channel_that_exists() -> None:
    for item in ITEMS:
        if item.mood_in == "text":
            assert "text" in item.modalities
        elif item.mood_in == "picture":
            assert item.modalities & {"image", "video"}
        else:
            assert item.modalities == {"audio"}
        assert (item.written_mood, item.drawn_mood).count(item.mood) == (item.mood_in != "nowhere")


def test_the_two_channels_are_used_alike() -> None:
    # 220 items that could have either at p = 0.5: far within four standard errors (4 * sqrt(220 * 0.25) = 30).
    count = Counter(item.mood_in for item in ITEMS)
    assert abs(count["text"] - count["picture"]) < 60


def test_plans_follow_the_seed() -> None:
    assert plan_items(240, 7) == ITEMS
    assert plan_items(240, 8) != ITEMS


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 40, got 39"):
        plan_items(39, 7)
