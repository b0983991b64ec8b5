"""A square canvas in unit coordinates with the few strokes that the scenes are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from PIL import Image, ImageDraw

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]


class Canvas:
    """An RGB image of `size` pixels; x runs right and y down, both from 0 to 1; a fourth channel is opacity."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = Image.new("RGB", (size, size))
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def gradient(self, top: Colour, bottom: Colour, start: float = 0.0, end: float = 1.0) -> None:
        """Fills the rows from `start` to `end` with a vertical gradient."""
        first, height = round(start * self.size), round((end - start) * self.size)
        mask = Image.linear_gradient("L").resize((self.size, height))
        extent = (self.size, height)
        self.image.paste(
            Image.composite(Image.new("RGB", extent, bottom), Image.new("RGB", extent, top), mask), (0, first)
        )

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fills a polygon."""
        self._draw.polygon([(x * self.size, y * self.size) for x, y in points], fill=colour)

    def box(
        self, left: float, top: float, right: float, bottom: float, *, colour: Colour, round_by: float = 0.0
    ) -> None:
        """Fills a rectangle, its corners rounded by a radius."""
        if right <= left or bottom <= top:
            return
        corners = tuple(value * self.size for value in (left, top, right, bottom))
        self._draw.rounded_rectangle(corners, radius=round_by * self.size, fill=colour)

    def disc(self, centre: Point, radius: float, colour: Colour, *, flatten: float = 1.0) -> None:
        """Fills a circle, or an ellipse whose height is `flatten` times its width."""
        x, y = centre
        corners = (x - radius, y - radius * flatten, x + radius, y + radius * flatten)
        self._draw.ellipse(tuple(value * self.size for value in corners), fill=colour)

    def arc(self, centre: Point, radius: Point, colour: Colour, *, width: float, degrees: Point = (0.0, 360.0)) -> None:
        """Draws a part of an ellipse's outline, clockwise from the first angle to the second."""
        (x, y), (across, along) = centre, radius
        corners = (x - across, y - along, x + across, y + along)
        scaled = tuple(value * self.size for value in corners)
        self._draw.arc(scaled, *degrees, fill=colour, width=max(1, round(width * self.size)))

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Draws a polyline with soft joints."""
        scaled = [(x * self.size, y * self.size) for x, y in points]
        self._draw.line(scaled, fill=colour, width=max(1, round(width * self.size)), joint="curve")

    def glow(self, centre: Point, radius: float, colour: tuple[int, int, int], strength: int = 26) -> None:
        """Adds a halo of translucent discs."""
        for step in range(8):
            self.disc(centre, radius * (1 - step / 8), (*colour, strength))

    def stars(self, rng: Random, count: int, floor: float, time: float = 0.0) -> None:
        """Scatters twinkling stars above `floor`."""
        for _ in range(count):
            x, y, phase = rng.random(), rng.random() * floor, rng.random()
            light = round(150 + 100 * math.sin(2 * math.pi * (time + phase)))
            self.disc((x, y), rng.choice((0.0015, 0.002, 0.0035)), (255, 255, 240, max(40, light)))


def ridge(rng: Random, base: float, height: float, steps: int) -> list[Point]:
    """Makes a jagged horizon from the left to the right edge by midpoint displacement."""
    heights = [base, base]
    spread = height
    while len(heights) <= steps:
        middles = [(a + b) / 2 + rng.uniform(-spread, spread) for a, b in pairwise(heights)]
        heights = [value for pair in zip(heights, middles, strict=False) for value in pair] + [heights[-1]]
        spread *= 0.5
    last = len(heights) - 1
    return [(index / last, value) for index, value in enumerate(heights)]


def wave(base: float, height: float, *, cycles: float, phase: float) -> list[Point]:
    """Makes a sine from the left to the right edge."""
    return [(x / 32, base + height * math.sin(2 * math.pi * (cycles * x / 32 + phase))) for x in range(33)]


def down_from(line: Sequence[Point]) -> list[Point]:
    """Closes a horizon to a shape that fills everything below it."""
    return [*line, (1.0, 1.0), (0.0, 1.0)]


def around(centre: Point, radius: float, count: int, turn: float = 0.0) -> list[Point]:
    """Spreads points evenly on a circle, starting at the angle `turn` in turns."""
    angles = [2 * math.pi * (turn + index / count) for index in range(count)]
    return [(centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)) for angle in angles]
