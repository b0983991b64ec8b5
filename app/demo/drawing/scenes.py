"""Draws the still picture and the frames of an item."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from PIL import Image

from app.demo.drawing.canvas import Canvas
from app.demo.drawing.looks import LOOKS
from app.demo.drawing.nature import draw_gardens, draw_mountains, draw_ocean, draw_space
from app.demo.drawing.places import draw_city, draw_football, draw_trains
from app.demo.drawing.stage import draw_cooking, draw_jazz, draw_techno
from app.demo.plan import DemoItem

SCENES: dict[str, Callable[[Canvas, Random, float], None]] = {
    "mountains": draw_mountains,
    "ocean": draw_ocean,
    "city": draw_city,
    "jazz": draw_jazz,
    "techno": draw_techno,
    "cooking": draw_cooking,
    "space": draw_space,
    "gardens": draw_gardens,
    "football": draw_football,
    "trains": draw_trains,
}

STILL_TIME = 0.35
"""Moment of the animation that the still picture shows."""


def draw_picture(item: DemoItem, seed: int, *, size: int, time: float = STILL_TIME) -> Image.Image:
    """Draws an item's scene in the look of its mood, at twice the size for smooth edges.

    Args:
        item: The planned item; its mood shows only if it is a drawn one.
        seed: Decides the layout; the same for every moment.
        size: Width and height of the result in pixels.
        time: Moment of the animation, from 0 to 1.

    Returns:
        RGB image of `size` x `size`.
    """
    canvas = Canvas(2 * size)
    SCENES[item.topic](canvas, Random(f"scene {seed} {item.item_id}"), time)
    if item.drawn_mood is not None:
        LOOKS[item.drawn_mood](canvas, Random(f"look {seed} {item.item_id}"), time)
    return canvas.image.reduce(2)
