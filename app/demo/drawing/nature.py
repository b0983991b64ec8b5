"""Scenes of mountains, ocean, space and gardens."""

from __future__ import annotations

import math
from random import Random

from app.demo.drawing.canvas import Canvas, Point, around, down_from, ridge, wave

_WHITE = (250, 252, 255)


def draw_mountains(canvas: Canvas, rng: Random, time: float) -> None:
    """Ridges behind one another, snow on the peaks, firs in front and a drifting cloud."""
    canvas.gradient((108, 170, 222), (226, 238, 244), 0.0, 0.8)
    sun = (rng.uniform(0.15, 0.85), rng.uniform(0.12, 0.25))
    canvas.glow(sun, 0.16, (255, 244, 200))
    canvas.disc(sun, 0.05, (255, 248, 220))
    for base, tint in ((0.55, (150, 178, 205)), (0.66, (110, 142, 172))):
        canvas.polygon(down_from(ridge(rng, base, 0.16, 16)), tint)
    for _ in range(rng.choice((1, 2, 2, 3))):
        _draw_peak(canvas, (rng.uniform(0.2, 0.8), rng.uniform(0.22, 0.4)), rng.uniform(0.26, 0.4), rng)
    _draw_cloud(canvas, (rng.uniform(0.1, 0.8) + 0.12 * time, rng.uniform(0.3, 0.5)), 0.09)
    canvas.polygon(down_from(ridge(rng, 0.82, 0.05, 8)), (62, 98, 84))
    for _ in range(rng.randint(6, 12)):
        _draw_fir(canvas, (rng.random(), rng.uniform(0.86, 1.0)), rng.uniform(0.08, 0.18))


def _draw_peak(canvas: Canvas, top: Point, half: float, rng: Random) -> None:
    x, y = top
    foot = 0.86
    canvas.polygon([(x - half, foot), top, (x + half * 0.9, foot)], (94, 108, 128))
    canvas.polygon([top, (x + half * 0.9, foot), (x + half * 0.1, foot)], (70, 82, 104))
    snow = rng.uniform(0.3, 0.45)
    edge = [(x + (side * half) * snow, y + (foot - y) * (snow - dip)) for side, dip in _SNOW_EDGE]
    canvas.polygon([top, *edge], _WHITE)
    canvas.polygon([top, *edge[:3]], (214, 224, 238))


_SNOW_EDGE = ((0.9, 0.0), (0.55, 0.12), (0.1, -0.03), (-0.25, 0.12), (-0.55, 0.02), (-0.75, 0.1), (-1.0, 0.0))


def _draw_fir(canvas: Canvas, foot: Point, height: float) -> None:
    x, y = foot
    for level in range(3):
        top = y - height * (1 - level * 0.22)
        wide = height * (0.16 + 0.09 * level)
        canvas.polygon([(x, top), (x + wide, top + height * 0.42), (x - wide, top + height * 0.42)], (30, 66, 56))
    canvas.box(x - 0.006, y - height * 0.15, x + 0.006, y, colour=(70, 50, 40))


def _draw_cloud(canvas: Canvas, centre: Point, size: float) -> None:
    x, y = centre
    for shift, lift, scale in ((-1.1, 0.1, 0.6), (-0.4, -0.2, 0.9), (0.5, -0.1, 0.8), (1.2, 0.15, 0.5)):
        canvas.disc((x + shift * size, y + lift * size), size * scale, (255, 255, 255, 150), flatten=0.62)


def draw_ocean(canvas: Canvas, rng: Random, time: float) -> None:
    """Rolling rows of waves with a boat, a whale or a lighthouse, and gulls above."""
    canvas.gradient((126, 196, 226), (232, 244, 240), 0.0, 0.46)
    canvas.glow((rng.uniform(0.2, 0.8), 0.3), 0.2, (255, 246, 214), 20)
    for _ in range(rng.randint(2, 5)):
        _draw_gull(canvas, (rng.random() + 0.1 * time, rng.uniform(0.08, 0.32)), rng.uniform(0.02, 0.04))
    canvas.gradient((38, 132, 168), (12, 62, 108), 0.44, 1.0)
    subject = rng.choice((_draw_sailboat, _draw_sailboat, _draw_whale, _draw_lighthouse))
    subject(canvas, (rng.uniform(0.28, 0.72), 0.56 + 0.012 * math.sin(2 * math.pi * time)), rng)
    phase = rng.random()
    for row in range(6):
        base = 0.56 + row * 0.08
        line = wave(base, 0.012 + 0.004 * row, cycles=rng.uniform(2, 4.5), phase=phase + row * 0.3 - time)
        canvas.polygon(down_from(line), (30 - 3 * row, 124 - 13 * row, 166 - 14 * row))
        canvas.line(line, (226, 246, 250, 190), 0.007)


def _draw_gull(canvas: Canvas, centre: Point, size: float) -> None:
    x, y = centre
    wings = [(x - size, y - size * 0.3), (x - size * 0.4, y - size * 0.6), (x, y)]
    canvas.line([*wings, (x + size * 0.4, y - size * 0.6), (x + size, y - size * 0.3)], (70, 84, 98), 0.007)


def _draw_sailboat(canvas: Canvas, foot: Point, rng: Random) -> None:
    x, y = foot
    sail = rng.choice(((244, 244, 236), (226, 86, 70), (250, 202, 84)))
    canvas.line([(x, y), (x, y - 0.34)], (90, 64, 48), 0.01)
    canvas.polygon([(x + 0.012, y - 0.33), (x + 0.012, y - 0.05), (x + 0.16, y - 0.05)], sail)
    canvas.polygon([(x - 0.012, y - 0.28), (x - 0.012, y - 0.05), (x - 0.1, y - 0.05)], (255, 255, 250))
    canvas.polygon(
        [(x - 0.15, y - 0.03), (x + 0.18, y - 0.03), (x + 0.12, y + 0.04), (x - 0.1, y + 0.04)], (116, 62, 48)
    )


def _draw_whale(canvas: Canvas, foot: Point, rng: Random) -> None:
    x, y = foot
    skin = rng.choice(((46, 66, 92), (58, 84, 104), (40, 52, 70)))
    canvas.disc((x, y + 0.04), rng.uniform(0.18, 0.23), skin, flatten=0.62)
    canvas.polygon([(x + 0.12, y + 0.06), (x + 0.26, y - 0.13), (x + 0.3, y - 0.12), (x + 0.24, y + 0.06)], skin)
    for tip in (x + 0.15, x + 0.4):
        inner, middle = x + 0.28 + (tip - x - 0.28) * 0.15, (x + 0.28 + tip) / 2
        canvas.polygon(
            [(x + 0.28, y - 0.1), (middle, y - 0.15), (tip, y - 0.23), (middle, y - 0.21), (inner, y - 0.15)], skin
        )
    canvas.disc((x - 0.12, y - 0.01), 0.008, _WHITE)
    for lean in (-0.05, -0.02, 0.02, 0.05):
        canvas.line(
            [(x - 0.06, y - 0.08), (x - 0.06 + lean, y - 0.2), (x - 0.06 + 2.2 * lean, y - 0.16)],
            (232, 246, 250),
            0.009,
        )


def _draw_lighthouse(canvas: Canvas, foot: Point, rng: Random) -> None:
    x, y = foot[0], 0.58
    canvas.polygon(
        [(x - 0.24, y + 0.03), (x - 0.12, y - 0.07), (x + 0.1, y - 0.08), (x + 0.26, y + 0.03)], (84, 80, 84)
    )
    canvas.polygon([(x - 0.055, y - 0.06), (x - 0.035, y - 0.36), (x + 0.035, y - 0.36), (x + 0.055, y - 0.06)], _WHITE)
    for band in range(3):
        top = y - 0.34 + band * 0.1
        canvas.box(x - 0.042 - band * 0.005, top, x + 0.042 + band * 0.005, top + 0.045, colour=(206, 58, 54))
    canvas.glow((x, y - 0.4), 0.12, (255, 240, 170), rng.randint(22, 34))
    canvas.box(x - 0.03, y - 0.42, x + 0.03, y - 0.36, colour=(255, 232, 140))
    canvas.polygon([(x - 0.045, y - 0.42), (x, y - 0.48), (x + 0.045, y - 0.42)], (60, 50, 56))


def draw_space(canvas: Canvas, rng: Random, time: float) -> None:
    """A banded planet, often ringed, before nebulae and stars, with a moon in orbit and a rocket or comet."""
    canvas.gradient((8, 8, 28), (26, 16, 52))
    for _ in range(3):
        tint = rng.choice(((120, 60, 170), (40, 90, 180), (190, 70, 120), (30, 130, 140)))
        canvas.glow((rng.random(), rng.random()), rng.uniform(0.25, 0.45), tint, 9)
    canvas.stars(rng, 110, 1.0, time)
    centre, radius = (rng.uniform(0.36, 0.64), rng.uniform(0.4, 0.6)), rng.uniform(0.15, 0.25)
    body = rng.choice(((222, 160, 96), (96, 160, 214), (206, 96, 76), (128, 190, 160), (186, 140, 206)))
    canvas.glow(centre, radius * 1.35, body, 12)
    rings = (1.5, 1.65, 1.8) if rng.random() < 0.6 else ()
    for grow in rings:
        canvas.arc(centre, (radius * grow, radius * grow * 0.24), _RING, width=0.014)
    _draw_planet(canvas, centre, radius, body)
    for grow in rings:
        canvas.arc(centre, (radius * grow, radius * grow * 0.24), _RING, width=0.014, degrees=(0, 180))
    orbit = 2 * math.pi * (rng.random() + time * 0.3)
    moon = (centre[0] + 0.38 * math.cos(orbit), centre[1] + 0.3 * math.sin(orbit))
    canvas.disc(moon, 0.035, (206, 206, 214))
    canvas.disc((moon[0] - 0.01, moon[1] - 0.006), 0.009, (160, 160, 172))
    start = (rng.uniform(0.05, 0.3), rng.uniform(0.08, 0.25))
    rng.choice((_draw_rocket, _draw_comet))(canvas, (start[0] + 0.2 * time, start[1] + 0.03 * time))


_RING = (236, 214, 176, 200)


def _draw_planet(canvas: Canvas, centre: Point, radius: float, body: tuple[int, int, int]) -> None:
    x, y = centre
    canvas.disc(centre, radius, body)
    for band in (-0.6, -0.25, 0.15, 0.5):
        half = radius * math.sqrt(1 - band**2) * 0.97
        shade = tuple(round(value * (0.82 if band * 4 % 2 < 1 else 1.12)) for value in body)
        canvas.disc(
            (x, y + band * radius),
            half,
            (min(shade[0], 255), min(shade[1], 255), min(shade[2], 255), 150),
            flatten=0.12,
        )
    canvas.disc((x - radius * 0.3, y - radius * 0.35), radius * 0.35, (255, 255, 255, 34))


def _draw_rocket(canvas: Canvas, tail: Point) -> None:
    x, y = tail
    canvas.polygon([(x, y), (x - 0.07, y + 0.012), (x, y + 0.03)], (255, 170, 60))
    canvas.polygon([(x + 0.01, y), (x - 0.02, y - 0.03), (x - 0.02, y + 0.06), (x + 0.01, y + 0.03)], (214, 60, 56))
    canvas.box(x, y - 0.008, x + 0.1, y + 0.038, colour=(240, 242, 246), round_by=0.01)
    canvas.polygon([(x + 0.09, y - 0.008), (x + 0.15, y + 0.015), (x + 0.09, y + 0.038)], (214, 60, 56))
    canvas.disc((x + 0.065, y + 0.015), 0.012, (80, 160, 210))


def _draw_comet(canvas: Canvas, head: Point) -> None:
    x, y = head
    for spread, opacity in ((0.05, 40), (0.03, 60), (0.014, 110)):
        canvas.polygon(
            [(x, y - 0.014), (x, y + 0.014), (x - 0.3, y - 0.12 + spread), (x - 0.3, y - 0.12 - spread)],
            (170, 210, 255, opacity),
        )
    canvas.glow(head, 0.03, (220, 236, 255), 50)


def draw_gardens(canvas: Canvas, rng: Random, time: float) -> None:
    """A bed of large swaying flowers before a hedge, sometimes a greenhouse or a tree, with butterflies."""
    canvas.gradient((176, 220, 240), (240, 248, 226), 0.0, 0.56)
    canvas.polygon(down_from(wave(0.48, 0.03, cycles=rng.uniform(3, 6), phase=rng.random())), (74, 140, 76))
    backdrop = rng.choice((_draw_greenhouse, _draw_tree, _draw_tree))
    backdrop(canvas, (rng.uniform(0.2, 0.8), 0.56), rng)
    canvas.gradient((136, 190, 92), (66, 132, 62), 0.55, 1.0)
    for _ in range(40):
        x, y = rng.random(), rng.uniform(0.58, 1.0)
        canvas.line([(x, y), (x + 0.01, y - 0.04)], (96, 160, 76), 0.006)
    for row in range(3):
        for _ in range(rng.randint(4, 6)):
            foot, phase = (rng.random(), 0.74 + 0.13 * row), rng.random()
            sway = 0.012 * math.sin(2 * math.pi * (time + phase))
            _draw_flower(canvas, foot, sway, (0.03 + 0.014 * row) * rng.uniform(0.8, 1.3), rng)
    for _ in range(2):
        flap = 0.5 + 0.5 * abs(math.sin(2 * math.pi * (3 * time + rng.random())))
        _draw_butterfly(canvas, (rng.random() + 0.06 * time, rng.uniform(0.35, 0.6)), 0.025, flap)


_PETALS = ((232, 70, 104), (250, 178, 52), (178, 96, 206), (255, 250, 246), (244, 132, 160), (222, 52, 48))


def _draw_flower(canvas: Canvas, foot: Point, sway: float, size: float, rng: Random) -> None:
    x, y = foot
    head = (x + sway, y - size * rng.uniform(2.6, 3.6))
    canvas.line([(x, y), (x + sway * 0.4, (y + head[1]) / 2), head], (44, 112, 52), 0.009)
    canvas.disc((x + size * 0.5, y - size * 0.9), size * 0.5, (60, 132, 58), flatten=0.45)
    petals, tint = rng.choice((5, 6, 8)), rng.choice(_PETALS)
    for petal in around(head, size * 0.62, petals, sway):
        canvas.disc(petal, size * 0.46, tint)
    canvas.disc(head, size * 0.42, (252, 214, 84) if tint != _PETALS[1] else (112, 66, 34))


def _draw_butterfly(canvas: Canvas, centre: Point, size: float, flap: float) -> None:
    x, y = centre
    for side in (-1, 1):
        canvas.disc(
            (x + side * size * 0.7 * flap, y - size * 0.4), size * 0.7 * flap, (240, 140, 60), flatten=1.0 / flap
        )
        canvas.disc(
            (x + side * size * 0.5 * flap, y + size * 0.5), size * 0.45 * flap, (250, 190, 90), flatten=1.0 / flap
        )
    canvas.line([(x, y - size * 0.8), (x, y + size * 0.9)], (60, 40, 40), 0.007)


def _draw_greenhouse(canvas: Canvas, foot: Point, rng: Random) -> None:
    x, y = foot
    wide, high = rng.uniform(0.15, 0.2), 0.17
    canvas.polygon(
        [(x - wide, y), (x - wide, y - high), (x, y - high - 0.12), (x + wide, y - high), (x + wide, y)],
        (206, 234, 238),
    )
    for step in range(-2, 3):
        pane = x + step * wide / 2
        canvas.line([(pane, y), (pane, y - high), (x, y - high - 0.12)], (250, 252, 252), 0.007)
    canvas.line([(x - wide, y - high), (x + wide, y - high)], (250, 252, 252), 0.008)


def _draw_tree(canvas: Canvas, foot: Point, rng: Random) -> None:
    x, y = foot
    canvas.box(x - 0.018, y - 0.2, x + 0.018, y + 0.03, colour=(108, 76, 54))
    blossom = rng.choice(((248, 196, 214), (96, 160, 84), (96, 160, 84), (250, 232, 236)))
    for _ in range(14):
        canvas.disc(
            (x + rng.uniform(-0.12, 0.12), y - 0.27 + rng.uniform(-0.1, 0.09)), rng.uniform(0.04, 0.07), blossom
        )
    for _ in range(8):
        canvas.disc((x + rng.uniform(-0.13, 0.13), y - 0.27 + rng.uniform(-0.1, 0.1)), 0.013, (226, 66, 60))
