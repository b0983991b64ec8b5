"""Scenes of city nights, football and trains."""

from __future__ import annotations

import math
from random import Random

from app.demo.drawing.canvas import Canvas, Point, around, down_from, wave

_WINDOWS = ((255, 222, 130), (255, 196, 92), (170, 220, 255))


def draw_city(canvas: Canvas, rng: Random, time: float) -> None:
    """Rows of towers with lit windows under the moon, above a wet street with moving headlights."""
    canvas.gradient((14, 16, 44), (86, 54, 104), 0.0, 0.8)
    canvas.stars(rng, 40, 0.4, time)
    moon = (rng.uniform(0.12, 0.88), rng.uniform(0.1, 0.22))
    canvas.glow(moon, 0.11, (220, 220, 250), 20)
    canvas.disc(moon, 0.045, (244, 240, 222))
    for base, tint in ((0.36, (54, 44, 88)), (0.48, (34, 30, 66))):
        x = -0.05
        while x < 1.0:
            width = rng.uniform(0.09, 0.17)
            _draw_tower(canvas, (x, base + rng.uniform(-0.16, 0.16)), width, tint, rng)
            x += width + rng.uniform(0.0, 0.02)
    canvas.gradient((30, 26, 52), (12, 12, 24), 0.78, 1.0)
    for _ in range(14):
        x, tint = rng.random(), rng.choice((*_WINDOWS, (255, 70, 130), (60, 230, 220)))
        canvas.box(x, 0.79, x + 0.02, rng.uniform(0.84, 0.98), colour=(*tint, 46))
    for lane, direction in ((0.85, 1), (0.93, -1)):
        for _ in range(3):
            x = (rng.random() + direction * time * 0.6) % 1.2 - 0.1
            _draw_car(canvas, (x, lane), direction, rng)
    for x in (0.12, 0.5, 0.88):
        canvas.line([(x, 0.8), (x, 0.62), (x + 0.05, 0.62)], (20, 18, 34), 0.009)
        canvas.glow((x + 0.05, 0.635), 0.05, (255, 220, 140), 26)


def _draw_tower(canvas: Canvas, corner: Point, width: float, tint: tuple[int, int, int], rng: Random) -> None:
    left, top = corner
    canvas.box(left, top, left + width, 0.8, colour=tint)
    if rng.random() < 0.3:
        canvas.line([(left + width / 2, top), (left + width / 2, top - 0.08)], tint, 0.007)
        canvas.disc((left + width / 2, top - 0.08), 0.008, (255, 70, 70))
    if rng.random() < 0.22:
        sign = rng.choice(((255, 60, 140), (60, 240, 220), (255, 210, 60)))
        canvas.box(left + width * 0.3, top + 0.1, left + width * 0.55, top + 0.26, colour=sign, round_by=0.012)
    columns = max(2, int(width / 0.03))
    for row in range(int((0.78 - top) / 0.042)):
        for column in range(columns):
            if rng.random() < 0.45:
                x, y = left + (column + 0.28) * width / columns, top + 0.016 + row * 0.042
                canvas.box(x, y, x + 0.013, y + 0.02, colour=rng.choice(_WINDOWS))


def _draw_car(canvas: Canvas, centre: Point, direction: int, rng: Random) -> None:
    x, y = centre
    tint = rng.choice(((240, 190, 40), (60, 66, 96), (150, 40, 60)))
    canvas.box(x - 0.05, y - 0.016, x + 0.05, y + 0.012, colour=tint, round_by=0.012)
    canvas.box(x - 0.028, y - 0.034, x + 0.026, y - 0.01, colour=(150, 180, 210), round_by=0.012)
    for wheel in (-0.03, 0.03):
        canvas.disc((x + wheel, y + 0.013), 0.011, (10, 10, 14))
    front = x + direction * 0.05
    canvas.polygon(
        [(front, y - 0.006), (front + direction * 0.13, y - 0.02), (front + direction * 0.13, y + 0.03)],
        (255, 244, 190, 90),
    )


def draw_football(canvas: Canvas, rng: Random, time: float) -> None:
    """A striped pitch with a goal, players in two colours, the stand behind, and the ball in flight."""
    canvas.gradient((92, 150, 204), (190, 214, 226), 0.0, 0.3)
    canvas.box(0, 0.18, 1, 0.4, colour=(72, 74, 92))
    for row in range(6):
        for column in range(34):
            tint = rng.choice(((214, 60, 60), (240, 240, 240), (60, 90, 190), (240, 200, 70), (90, 70, 60)))
            canvas.disc(
                (column / 33, 0.21 + row * 0.032 - 0.006 * math.sin(2 * math.pi * (2 * time + column / 7))), 0.011, tint
            )
    for stripe in range(8):
        canvas.polygon(_perspective(stripe / 8, (stripe + 1) / 8), (62, 150, 66) if stripe % 2 else (78, 172, 76))
    side = rng.choice((0.24, 0.5, 0.76))
    _draw_goal(canvas, side)
    for corner in ((side - 0.34, side + 0.34, 0.4, 0.62), (side - 0.2, side + 0.2, 0.4, 0.5)):
        left, right, far, near = corner
        canvas.line([(left, far), (left - 0.06, near), (right + 0.06, near), (right, far)], (246, 250, 246), 0.008)
    kits = rng.sample(((216, 44, 48), (40, 84, 196), (250, 210, 50), (250, 250, 250), (110, 40, 130)), 2)
    for player in range(rng.randint(4, 7)):
        foot = (rng.uniform(0.08, 0.92), rng.uniform(0.56, 0.88))
        _draw_player(canvas, foot, kits[player % 2], 0.5 * math.sin(2 * math.pi * (2 * time + rng.random())))
    start = rng.uniform(0.15, 0.85)
    ball = (start + (side - start) * time * 0.8, 0.84 - 0.42 * time - 0.22 * math.sin(math.pi * time))
    _draw_ball(canvas, ball, 0.075 - 0.035 * time, time + rng.random())


def _perspective(left: float, right: float) -> list[Point]:
    return [(left, 0.4), (right, 0.4), (0.5 + (right - 0.5) * 2.4, 1.0), (0.5 + (left - 0.5) * 2.4, 1.0)]


def _draw_goal(canvas: Canvas, x: float) -> None:
    left, right, top, foot = x - 0.15, x + 0.15, 0.24, 0.42
    for step in range(11):
        across = left + (right - left) * step / 10
        canvas.line([(across, top), (across, foot)], (255, 255, 255, 110), 0.003)
    for step in range(6):
        along = top + (foot - top) * step / 5
        canvas.line([(left, along), (right, along)], (255, 255, 255, 110), 0.003)
    canvas.line([(left, foot), (left, top), (right, top), (right, foot)], (255, 255, 255), 0.014)


def _draw_player(canvas: Canvas, foot: Point, kit: tuple[int, int, int], stride: float) -> None:
    x, y = foot
    size = 0.1 + 0.16 * (y - 0.5)
    hip, shoulder = y - size * 0.55, y - size * 1.1
    canvas.disc((x, y), size * 0.3, (20, 60, 24, 110), flatten=0.3)
    for side in (-1, 1):
        canvas.line([(x, hip), (x + side * stride * size * 0.6, y)], (240, 200, 170), size * 0.13)
        canvas.line([(x, shoulder), (x - side * stride * size * 0.7, hip)], kit, size * 0.12)
    canvas.box(x - size * 0.17, shoulder, x + size * 0.17, hip, colour=kit, round_by=size * 0.08)
    canvas.box(x - size * 0.17, hip - size * 0.04, x + size * 0.17, hip + size * 0.14, colour=(36, 36, 48))
    canvas.disc((x, shoulder - size * 0.18), size * 0.16, (226, 176, 140))
    canvas.disc((x, shoulder - size * 0.25), size * 0.14, (66, 44, 34), flatten=0.6)


def _draw_ball(canvas: Canvas, centre: Point, radius: float, turn: float) -> None:
    canvas.disc((centre[0] + 0.005, centre[1] + 0.005), radius * 1.06, (20, 40, 20, 130))
    canvas.disc(centre, radius, (252, 252, 252))
    canvas.polygon(around(centre, radius * 0.4, 5, turn), (24, 24, 30))
    for inner, outer in zip(around(centre, radius * 0.4, 5, turn), around(centre, radius * 0.8, 5, turn), strict=True):
        canvas.line([inner, outer], (24, 24, 30), radius * 0.08)
        canvas.polygon(around(outer, radius * 0.2, 5, turn + 0.1), (24, 24, 30))


def draw_trains(canvas: Canvas, rng: Random, time: float) -> None:
    """A locomotive with coaches on a track or viaduct through hills, smoke or a wire above."""
    canvas.gradient((150, 200, 226), (244, 232, 206), 0.0, 0.62)
    for base, tint in ((0.46, (150, 178, 140)), (0.55, (116, 156, 104))):
        line = wave(base, rng.uniform(0.03, 0.07), cycles=rng.uniform(0.7, 1.8), phase=rng.random())
        canvas.polygon(down_from(line), tint)
    rail = rng.uniform(0.68, 0.76)
    canvas.gradient((132, 166, 92), (84, 124, 66), rail, 1.0)
    if rng.random() < 0.35:
        _draw_viaduct(canvas, rail)
    canvas.box(0, rail, 1, rail + 0.035, colour=(126, 112, 100))
    for sleeper in range(22):
        canvas.box(sleeper / 21 - 0.012, rail + 0.004, sleeper / 21 + 0.012, rail + 0.03, colour=(92, 68, 52))
    canvas.box(0, rail - 0.004, 1, rail + 0.006, colour=(196, 200, 208))
    tint = rng.choice(((178, 44, 48), (34, 92, 70), (36, 66, 128), (70, 62, 66)))
    coach = rng.choice(((222, 190, 120), (150, 48, 52), (66, 100, 150), (232, 226, 210)))
    front = rng.uniform(0.4, 0.56) + 0.12 * time
    for number in range(1, 4):
        _draw_coach(canvas, (front - 0.33 * number, rail), coach)
    steam = rng.random() < 0.65
    (_draw_steam_engine if steam else _draw_electric_engine)(canvas, (front, rail), tint, time)


def _draw_viaduct(canvas: Canvas, rail: float) -> None:
    canvas.box(0, rail, 1, rail + 0.09, colour=(186, 162, 138))
    for arch in range(5):
        left = arch * 0.22 - 0.04
        canvas.box(left, rail + 0.05, left + 0.055, 1.0, colour=(170, 146, 122))
        canvas.arc((left + 0.137, rail + 0.19), (0.1, 0.11), (170, 146, 122), width=0.03, degrees=(180, 360))


def _draw_coach(canvas: Canvas, foot: Point, tint: tuple[int, int, int]) -> None:
    x, y = foot
    canvas.box(x, y - 0.17, x + 0.31, y - 0.03, colour=tint, round_by=0.015)
    canvas.box(x - 0.004, y - 0.185, x + 0.314, y - 0.162, colour=(74, 70, 76), round_by=0.01)
    for window in range(5):
        left = x + 0.022 + window * 0.056
        canvas.box(left, y - 0.145, left + 0.042, y - 0.09, colour=(216, 236, 244), round_by=0.006)
    canvas.box(x - 0.02, y - 0.05, x + 0.33, y - 0.035, colour=(50, 48, 54))
    for wheel in (0.05, 0.1, 0.21, 0.26):
        canvas.disc((x + wheel, y - 0.022), 0.022, (44, 42, 48))


def _draw_steam_engine(canvas: Canvas, foot: Point, tint: tuple[int, int, int], time: float) -> None:
    x, y = foot
    canvas.box(x, y - 0.24, x + 0.1, y - 0.04, colour=tint)
    canvas.box(x - 0.015, y - 0.26, x + 0.115, y - 0.235, colour=(40, 38, 44), round_by=0.01)
    canvas.box(x + 0.02, y - 0.21, x + 0.075, y - 0.15, colour=(226, 240, 244))
    canvas.box(x + 0.09, y - 0.17, x + 0.29, y - 0.06, colour=tint, round_by=0.03)
    canvas.box(x + 0.23, y - 0.26, x + 0.265, y - 0.15, colour=(40, 38, 44))
    canvas.box(x + 0.22, y - 0.275, x + 0.275, y - 0.255, colour=(40, 38, 44))
    canvas.disc((x + 0.15, y - 0.172), 0.022, (222, 178, 70))
    canvas.polygon([(x + 0.28, y - 0.07), (x + 0.34, y - 0.008), (x + 0.26, y - 0.008)], (190, 50, 46))
    for wheel in (0.05, 0.13, 0.21):
        _draw_wheel(canvas, (x + wheel, y - 0.042), 0.042, time * 3)
    rod = 0.02 * math.sin(2 * math.pi * 3 * time)
    canvas.line([(x + 0.05, y - 0.042 + rod), (x + 0.21, y - 0.042 + rod)], (220, 220, 226), 0.011)
    for puff in range(7):
        age = puff + (time * 7) % 1
        centre = (x + 0.247 - 0.075 * age, y - 0.3 - 0.035 * age - 0.01 * math.sin(age * 2))
        canvas.disc(centre, 0.022 + 0.011 * age, (246, 246, 248, round(220 - 25 * age)))


def _draw_wheel(canvas: Canvas, centre: Point, radius: float, turn: float) -> None:
    canvas.disc(centre, radius, (44, 42, 48))
    canvas.disc(centre, radius * 0.78, (186, 56, 50))
    for rim in around(centre, radius * 0.75, 6, turn):
        canvas.line([centre, rim], (44, 42, 48), radius * 0.16)


def _draw_electric_engine(canvas: Canvas, foot: Point, tint: tuple[int, int, int], time: float) -> None:
    x, y = foot
    canvas.line([(0, y - 0.3), (1, y - 0.3)], (60, 60, 66), 0.005)
    for mast in range(4):
        left = (mast * 0.3 - 0.1 * time) % 1.2
        canvas.line([(left, y), (left, y - 0.33), (left + 0.06, y - 0.33)], (98, 98, 104), 0.009)
    canvas.polygon(
        [(x, y - 0.19), (x + 0.22, y - 0.19), (x + 0.31, y - 0.1), (x + 0.33, y - 0.03), (x, y - 0.03)], tint
    )
    canvas.polygon(
        [(x + 0.19, y - 0.17), (x + 0.225, y - 0.17), (x + 0.28, y - 0.11), (x + 0.19, y - 0.11)], (216, 236, 244)
    )
    canvas.box(x, y - 0.085, x + 0.315, y - 0.065, colour=(250, 240, 220))
    canvas.line([(x + 0.05, y - 0.19), (x + 0.1, y - 0.25), (x + 0.05, y - 0.3)], (50, 50, 56), 0.009)
    for wheel in (0.05, 0.1, 0.2, 0.25):
        canvas.disc((x + wheel, y - 0.022), 0.024, (44, 42, 48))
