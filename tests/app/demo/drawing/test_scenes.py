"""The pictures: own to each item, moving, and changed only by a drawn mood."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.demo.drawing.scenes import draw_picture
from app.demo.plan import MOODS, TOPICS, DemoItem

ITEM = DemoItem(
    item_id="demo-ocean-01",
    number=0,
    topic="ocean",
    mood="stormy",
    mood_in="text",
    modalities=frozenset({"text", "image", "video"}),
    appeal=1.0,
)


def difference(first: Image.Image, second: Image.Image) -> float:
    """Mean absolute difference of two pictures, in levels of 255."""
    return float(np.abs(np.asarray(first, float) - np.asarray(second, float)).mean())


@pytest.mark.parametrize("topic", TOPICS)
def test_a_scene_is_reproducible_its_own_and_moves(topic: str) -> None:
    item = replace(ITEM, topic=topic)
    picture = draw_picture(item, 7, size=96)
    assert (picture.mode, picture.size) == ("RGB", (96, 96))
    assert draw_picture(item, 7, size=96) == picture
    assert difference(draw_picture(replace(item, item_id="demo-ocean-02"), 7, size=96), picture) > 2
    assert difference(draw_picture(item, 7, size=96, time=0.9), picture) > 0.1


def test_topics_look_different() -> None:
    pictures = [draw_picture(replace(ITEM, topic=topic), 7, size=48) for topic in TOPICS]
    apart = [difference(one, other) for place, one in enumerate(pictures) for other in pictures[:place]]
    assert min(apart) > 15


@pytest.mark.parametrize("mood", MOODS)
def test_only_a_drawn_mood_changes_the_look(mood: str) -> None:
    plain = draw_picture(ITEM, 7, size=96)
    assert draw_picture(replace(ITEM, mood=mood), 7, size=96) == plain
    assert difference(draw_picture(replace(ITEM, mood=mood, mood_in="picture"), 7, size=96), plain) > 10
