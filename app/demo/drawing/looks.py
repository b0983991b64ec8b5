"""Turns the mood of an item into the look of its picture: light, colour, weather and frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from PIL import Image, ImageEnhance, ImageOps

from app.demo.drawing.canvas import Canvas, around, wave

Look = Callable[[Canvas, Random, float], None]


def look_serene(canvas: Canvas, rng: Random, time: float) -> None:
    """Washes the scene out into pastel light with drifting bands of mist and a still, pale disc."""
    canvas.image.paste(ImageEnhance.Color(canvas.image).enhance(0.55))
    canvas.image.paste(Image.blend(canvas.image, _wash(canvas.size, (236, 232, 250), (255, 232, 222)), 0.5))
    canvas.glow((rng.uniform(0.3, 0.7), 0.24), 0.2, (255, 252, 244), 18)
    for band in range(4):
        base, phase = 0.3 + 0.17 * band, rng.random()
        upper = wave(base, 0.02, cycles=1.2, phase=phase + 0.15 * time)
        lower = wave(base + 0.07, 0.025, cycles=0.9, phase=phase - 0.1 * time)
        canvas.polygon([*upper, *reversed(lower)], (255, 255, 255, 96))


def look_stormy(canvas: Canvas, rng: Random, time: float) -> None:
    """Darkens the scene under black clouds, with slanting rain and a bolt of lightning."""
    canvas.image.paste(ImageEnhance.Color(canvas.image).enhance(0.4))
    canvas.image.paste(Image.blend(canvas.image, _wash(canvas.size, (10, 14, 26), (44, 54, 72)), 0.5))
    for _ in range(16):
        shade = rng.randint(22, 60)
        centre = (rng.uniform(-0.05, 1.05) + 0.05 * time, rng.uniform(-0.04, 0.14))
        canvas.disc(centre, rng.uniform(0.08, 0.17), (shade, shade + 3, shade + 12, 215), flatten=0.6)
    x, y = rng.uniform(0.2, 0.8), 0.12
    bolt = [(x, y)]
    for _ in range(5):
        bolt.append((bolt[-1][0] + rng.uniform(-0.09, 0.09), bolt[-1][1] + 0.085))
    if (time * 2) % 1.0 < 0.8:
        canvas.line(bolt, (190, 200, 255, 120), 0.03)
        canvas.line(bolt, (255, 255, 244), 0.011)
    for _ in range(110):
        x, y = rng.uniform(-0.1, 1.1), (rng.random() + 1.5 * time) % 1.1 - 0.05
        canvas.line([(x, y), (x - 0.03, y + 0.085)], (206, 218, 236, 120), 0.003)


def look_nostalgic(canvas: Canvas, rng: Random, time: float) -> None:
    """Makes a faded sepia photograph of it, with scratches, a vignette and a paper frame."""
    sepia = ImageOps.colorize(ImageOps.grayscale(canvas.image), (58, 36, 20), (250, 228, 184), mid=(172, 122, 72))
    canvas.image.paste(Image.blend(canvas.image, sepia, 0.86))
    for ring in range(9):
        canvas.arc((0.5, 0.5), (0.56 + ring * 0.025,) * 2, (40, 22, 10, 34 + 14 * ring), width=0.06)
    for _ in range(7):
        x = (rng.random() + 0.37 * int(time * 8)) % 1.0
        canvas.line([(x, rng.random()), (x + rng.uniform(-0.01, 0.01), rng.random())], (255, 246, 222, 120), 0.003)
    paper = (246, 236, 214)
    for left, top, right, bottom in ((0, 0, 1, 0.055), (0, 0.85, 1, 1), (0, 0, 0.055, 1), (0.945, 0, 1, 1)):
        canvas.box(left, top, right, bottom, colour=paper)
    scrawl = [(0.28 + 0.022 * step, 0.925 + 0.014 * math.sin(step * rng.uniform(1.5, 3.5))) for step in range(20)]
    canvas.line(scrawl, (96, 74, 60), 0.006)


def look_playful(canvas: Canvas, rng: Random, time: float) -> None:
    """Brightens the colours and throws a party: balloons, bunting and confetti."""
    canvas.image.paste(ImageEnhance.Color(canvas.image).enhance(1.6))
    canvas.image.paste(ImageEnhance.Brightness(canvas.image).enhance(1.15))
    canvas.line([(x / 16, 0.03 + 0.07 * math.sin(math.pi * x / 16)) for x in range(17)], (255, 255, 255), 0.006)
    for flag in range(9):
        x = (flag + 0.5) / 9
        y = 0.03 + 0.07 * math.sin(math.pi * x)
        canvas.polygon([(x - 0.038, y), (x + 0.038, y), (x, y + 0.085)], _PARTY[flag % len(_PARTY)])
    for _ in range(3):
        x, y = rng.uniform(0.08, 0.92), rng.uniform(0.34, 0.7) - 0.08 * time
        tint = rng.choice(_PARTY)
        canvas.line([(x, y), (x + 0.02, y + 0.12), (x, y + 0.24)], (255, 255, 255), 0.005)
        canvas.disc((x, y), 0.07, tint, flatten=1.2)
        canvas.polygon([(x, y + 0.075), (x - 0.016, y + 0.1), (x + 0.016, y + 0.1)], tint)
        canvas.disc((x - 0.025, y - 0.035), 0.015, (255, 255, 255, 170))
    for _ in range(60):
        spot = (rng.random(), (rng.random() + 0.5 * time) % 1.0)
        canvas.polygon(around(spot, rng.uniform(0.008, 0.014), 4, rng.random() + time), rng.choice(_PARTY))


_PARTY = ((255, 64, 110), (255, 206, 40), (50, 200, 250), (110, 220, 80), (190, 90, 250), (255, 130, 40))


def _wash(size: int, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    canvas = Canvas(size)
    canvas.gradient(top, bottom)
    return canvas.image


LOOKS: dict[str, Look] = {
    "serene": look_serene,
    "stormy": look_stormy,
    "nostalgic": look_nostalgic,
    "playful": look_playful,
}
