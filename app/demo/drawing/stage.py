"""Scenes of jazz, techno and cooking."""

from __future__ import annotations

import math
from random import Random

from app.demo.drawing.canvas import Canvas, Point, around

_BRASS = (222, 172, 62)


def draw_jazz(canvas: Canvas, rng: Random, time: float) -> None:
    """An instrument in the spotlight of a dark club above a row of piano keys, with floating notes."""
    wall = rng.choice((((48, 14, 34), (116, 38, 46)), ((18, 26, 52), (52, 66, 110)), ((52, 30, 14), (128, 78, 40))))
    canvas.gradient(*wall)
    for lamp in (rng.uniform(0.15, 0.4), rng.uniform(0.6, 0.85)):
        swing = 0.06 * math.sin(2 * math.pi * (time + lamp))
        canvas.polygon(
            [(lamp - 0.02, 0), (lamp + 0.02, 0), (lamp + 0.26 + swing, 0.84), (lamp - 0.22 + swing, 0.84)],
            (255, 226, 150, 44),
        )
    instrument = rng.choice((_draw_saxophone, _draw_double_bass, _draw_record, _draw_trumpet))
    instrument(canvas, (rng.uniform(0.42, 0.58), 0.46), time)
    for _ in range(5):
        x, rise = rng.uniform(0.08, 0.92), rng.random()
        y = 0.72 - 0.6 * ((rise + 0.35 * time) % 1.0)
        _draw_note(
            canvas,
            (x + 0.02 * math.sin(6 * rise + 6 * time), y),
            rng.choice(((255, 232, 170), (255, 250, 240), (250, 180, 90))),
        )
    _draw_keys(canvas, 0.82, rng.randint(0, 13), time)


def _draw_keys(canvas: Canvas, top: float, pressed: int, time: float) -> None:
    canvas.box(0, top - 0.02, 1, 1, colour=(24, 18, 20))
    for key in range(14):
        low = 0.012 if key == (pressed + int(time * 8)) % 14 else 0.0
        canvas.box(key / 14 + 0.002, top + low, (key + 1) / 14 - 0.002, 0.985, colour=(248, 244, 232), round_by=0.006)
    for key in range(14):
        if key % 7 not in (2, 6):
            canvas.box((key + 0.7) / 14, top, (key + 1.3) / 14, top + 0.1, colour=(20, 18, 24))


def _draw_note(canvas: Canvas, head: Point, tint: tuple[int, int, int]) -> None:
    x, y = head
    canvas.disc((x, y), 0.021, tint, flatten=0.76)
    canvas.line([(x + 0.018, y), (x + 0.018, y - 0.09), (x + 0.048, y - 0.062)], tint, 0.009)


def _draw_saxophone(canvas: Canvas, centre: Point, time: float) -> None:
    x, y = centre[0] + 0.008 * math.sin(2 * math.pi * time), centre[1]
    canvas.line([(x - 0.17, y - 0.27), (x - 0.1, y - 0.31), (x - 0.06, y - 0.27)], _BRASS, 0.022)
    canvas.box(x - 0.2, y - 0.285, x - 0.14, y - 0.255, colour=(26, 22, 24))
    canvas.polygon([(x - 0.075, y - 0.28), (x - 0.045, y - 0.28), (x + 0.02, y + 0.2), (x - 0.05, y + 0.2)], _BRASS)
    canvas.arc((x + 0.055, y + 0.19), (0.105, 0.12), _BRASS, width=0.075, degrees=(0, 180))
    canvas.polygon([(x + 0.088, y + 0.2), (x + 0.16, y + 0.2), (x + 0.26, y - 0.1), (x + 0.09, y - 0.06)], _BRASS)
    canvas.disc((x + 0.175, y - 0.08), 0.088, (248, 210, 110), flatten=0.3)
    canvas.disc((x + 0.175, y - 0.08), 0.064, (120, 80, 24), flatten=0.3)
    for key in range(6):
        canvas.disc((x - 0.045 + key * 0.008, y - 0.18 + key * 0.062), 0.02, (250, 222, 140))


def _draw_double_bass(canvas: Canvas, centre: Point, time: float) -> None:
    x, y = centre
    wood = (160, 84, 40)
    canvas.disc((x, y + 0.2), 0.17, wood)
    canvas.disc((x, y - 0.02), 0.125, wood)
    canvas.box(x - 0.1, y, x + 0.1, y + 0.14, colour=wood)
    for side in (-1, 1):
        canvas.disc((x + side * 0.15, y + 0.085), 0.05, (96, 40, 36))
        canvas.arc((x + side * 0.07, y + 0.14), (0.016, 0.06), (60, 28, 18), width=0.01)
    canvas.box(x - 0.022, y - 0.4, x + 0.022, y + 0.14, colour=(44, 26, 20))
    canvas.disc((x, y - 0.41), 0.03, (110, 56, 30))
    canvas.box(x - 0.05, y + 0.21, x + 0.05, y + 0.23, colour=(236, 206, 150))
    shake = 0.004 * math.sin(2 * math.pi * 8 * time)
    for string in (-0.015, -0.005, 0.005, 0.015):
        canvas.line(
            [(x + string, y - 0.4), (x + string + shake, y), (x + string * 1.6, y + 0.32)], (240, 232, 210), 0.003
        )


def _draw_record(canvas: Canvas, centre: Point, time: float) -> None:
    canvas.disc((centre[0] + 0.015, centre[1] + 0.02), 0.31, (0, 0, 0, 90))
    canvas.disc(centre, 0.31, (20, 18, 22))
    for groove in range(8):
        canvas.arc(centre, (0.13 + groove * 0.022,) * 2, (58, 54, 62), width=0.004)
    for shine in (205, 25):
        canvas.arc(
            centre, (0.25, 0.25), (200, 196, 208, 60), width=0.15, degrees=(shine + 40 * time, shine + 22 + 40 * time)
        )
    canvas.disc(centre, 0.105, (206, 70, 50))
    canvas.arc(centre, (0.075, 0.075), (250, 226, 170), width=0.014, degrees=(360 * time, 360 * time + 200))
    canvas.disc(centre, 0.014, (240, 236, 226))
    canvas.line([(centre[0] + 0.36, 0.1), (centre[0] + 0.34, 0.5), (centre[0] + 0.2, 0.62)], (206, 206, 212), 0.016)


def _draw_trumpet(canvas: Canvas, centre: Point, time: float) -> None:
    x, y = centre[0], centre[1] + 0.01 * math.sin(2 * math.pi * time)
    canvas.line([(x - 0.34, y), (x + 0.2, y)], _BRASS, 0.03)
    canvas.polygon([(x + 0.14, y - 0.016), (x + 0.34, y - 0.12), (x + 0.34, y + 0.12), (x + 0.14, y + 0.016)], _BRASS)
    canvas.disc((x + 0.34, y), 0.026, (250, 216, 120), flatten=4.6)
    canvas.box(x - 0.38, y - 0.025, x - 0.33, y + 0.025, colour=(240, 206, 110), round_by=0.01)
    canvas.arc((x - 0.16, y + 0.06), (0.06, 0.06), _BRASS, width=0.026, degrees=(90, 270))
    canvas.arc((x + 0.12, y + 0.06), (0.06, 0.06), _BRASS, width=0.026, degrees=(270, 90))
    canvas.line([(x - 0.16, y + 0.107), (x + 0.12, y + 0.107)], _BRASS, 0.026)
    for valve in range(3):
        down = 0.02 * (int(time * 8 + valve) % 2)
        left = x - 0.1 + valve * 0.07
        canvas.box(left, y - 0.06, left + 0.042, y + 0.15, colour=(246, 204, 100), round_by=0.012)
        canvas.box(left + 0.014, y - 0.1 + down, left + 0.028, y - 0.05, colour=(250, 236, 200))


_NEON = ((255, 40, 150), (40, 240, 255), (130, 255, 70), (170, 80, 255), (255, 160, 30))


def draw_techno(canvas: Canvas, rng: Random, time: float) -> None:
    """Lasers over a neon floor in perspective, level bars that jump with the beat, and loudspeakers or a deck."""
    first, second = rng.sample(_NEON, 2)
    canvas.gradient((6, 4, 16), (24, 10, 44))
    source = rng.uniform(0.3, 0.7)
    for beam in range(rng.randint(5, 9)):
        aim = (beam / 7 + 0.14 * math.sin(2 * math.pi * (time + beam * 0.13))) * 1.4 - 0.2
        canvas.polygon(
            [(source, -0.02), (aim - 0.02, 0.68), (aim + 0.02, 0.68)], (*(first if beam % 2 else second), 90)
        )
    _draw_floor(canvas, second, time)
    beat = 1 - (time * 4) % 1.0
    bars = rng.randint(12, 18)
    for bar in range(bars):
        height = (
            0.05 + 0.2 * rng.random() * (0.4 + 0.6 * beat) + 0.05 * math.sin(2 * math.pi * (2 * time + bar / 5)) ** 2
        )
        left, width = 0.08 + 0.84 * bar / bars, 0.84 / bars
        for level in range(int(height / 0.024)):
            top = 0.64 - level * 0.024
            canvas.box(left, top, left + width * 0.7, top + 0.016, colour=first if level < 6 else (255, 255, 255))
    rng.choice((_draw_speakers, _draw_deck, _draw_rings))(canvas, first, beat)


def _draw_floor(canvas: Canvas, tint: tuple[int, int, int], time: float) -> None:
    canvas.glow((0.5, 0.68), 0.5, tint, 7)
    canvas.box(0, 0.68, 1, 1, colour=(10, 6, 22))
    for ray in range(-9, 10):
        canvas.line([(0.5 + ray * 0.06, 0.68), (0.5 + ray * 0.3, 1.0)], (*tint, 170), 0.004)
    for row in range(7):
        depth = ((row + (time * 4) % 1.0) / 7) ** 2
        canvas.line([(0, 0.68 + 0.32 * depth), (1, 0.68 + 0.32 * depth)], (*tint, 190), 0.005)


def _draw_speakers(canvas: Canvas, tint: tuple[int, int, int], beat: float) -> None:
    for left in (0.03, 0.77):
        canvas.box(left, 0.42, left + 0.2, 0.86, colour=(26, 24, 34), round_by=0.012)
        for centre, radius in (((left + 0.1, 0.53), 0.05), ((left + 0.1, 0.72), 0.085)):
            canvas.disc(centre, radius, (52, 50, 64))
            canvas.arc(centre, (radius, radius), tint, width=0.009)
            canvas.disc(centre, radius * (0.4 + 0.18 * beat), (96, 92, 112))


def _draw_deck(canvas: Canvas, tint: tuple[int, int, int], beat: float) -> None:
    canvas.polygon([(0.16, 0.78), (0.84, 0.78), (0.92, 0.96), (0.08, 0.96)], (34, 32, 44))
    for x in (0.29, 0.71):
        canvas.disc((x, 0.865), 0.12, (14, 14, 18), flatten=0.56)
        canvas.arc((x, 0.865), (0.09, 0.05), tint, width=0.006)
        canvas.disc((x, 0.865), 0.03, tint, flatten=0.56)
    for fader in range(4):
        x = 0.455 + fader * 0.03
        canvas.line([(x, 0.81), (x, 0.93)], (120, 120, 132), 0.004)
        canvas.box(
            x - 0.01,
            0.84 + 0.05 * beat * (fader % 2),
            x + 0.01,
            0.86 + 0.05 * beat * (fader % 2),
            colour=(250, 250, 250),
        )


def _draw_rings(canvas: Canvas, tint: tuple[int, int, int], beat: float) -> None:
    for ring in range(5):
        radius = 0.05 + 0.055 * ring + 0.03 * (1 - beat)
        canvas.arc((0.5, 0.34), (radius, radius), (*tint, 220 - 34 * ring), width=0.012)
    canvas.glow((0.5, 0.34), 0.05 + 0.05 * beat, tint, 40)


def draw_cooking(canvas: Canvas, rng: Random, time: float) -> None:
    """A dish seen from above on a wooden table, with ingredients, cutlery and rising steam."""
    wood = rng.choice(((196, 146, 98), (168, 116, 76), (214, 176, 134)))
    canvas.gradient(wood, wood)
    for board in range(6):
        canvas.box(0, board / 6, 1, board / 6 + 0.006, colour=(90, 56, 34, 120))
        for _ in range(2):
            y = (board + rng.random()) / 6
            canvas.line([(0, y), (0.5, y + 0.008), (1, y)], (110, 70, 44, 60), 0.004)
    centre = (rng.uniform(0.45, 0.55), rng.uniform(0.46, 0.56))
    for corner in ((0.12, 0.14), (0.88, 0.14), (0.12, 0.88), (0.88, 0.88)):
        _draw_ingredient(canvas, corner, rng)
    canvas.disc((centre[0] + 0.02, centre[1] + 0.03), 0.33, (50, 30, 20, 100))
    rng.choice((_draw_pizza, _draw_soup, _draw_egg_pan, _draw_pasta))(canvas, centre, rng)
    for _ in range(4):
        x, phase = centre[0] + rng.uniform(-0.16, 0.16), rng.random()
        lift = 0.16 * ((time + phase) % 1.0)
        curl = [
            (x + 0.02 * math.sin(3 * step + 6 * (time + phase)), centre[1] - lift - step * 0.05) for step in range(6)
        ]
        canvas.line(curl, (255, 255, 255, 90), 0.016)


def _draw_ingredient(canvas: Canvas, centre: Point, rng: Random) -> None:
    x, y = centre
    kind = rng.randrange(4)
    if kind == 0:
        canvas.disc(centre, 0.065, (206, 44, 38))
        canvas.disc((x - 0.02, y - 0.02), 0.016, (240, 130, 120))
        canvas.polygon(around((x, y - 0.01), 0.03, 5, rng.random()), (62, 128, 52))
    elif kind == 1:
        for turn in range(5):
            canvas.disc(
                (x + 0.05 * math.cos(turn * 1.3), y + 0.05 * math.sin(turn * 1.3)), 0.036, (70, 140, 58), flatten=0.6
            )
    elif kind == 2:
        canvas.disc(centre, 0.062, (250, 214, 70))
        canvas.disc(centre, 0.048, (254, 240, 170))
        for rim in around(centre, 0.045, 8, rng.random()):
            canvas.line([centre, rim], (250, 214, 70), 0.006)
    else:
        canvas.line([(x - 0.1, y + 0.05), (x - 0.03, y + 0.015)], (92, 54, 36), 0.03)
        canvas.polygon(
            [(x - 0.04, y + 0.03), (x + 0.13, y - 0.07), (x + 0.12, y - 0.02), (x - 0.02, y + 0.05)], (226, 230, 236)
        )


def _draw_pizza(canvas: Canvas, centre: Point, rng: Random) -> None:
    canvas.disc(centre, 0.32, (206, 150, 84))
    canvas.disc(centre, 0.285, (212, 70, 44))
    canvas.disc(centre, 0.27, (246, 206, 110))
    _scatter(canvas, centre, 0.22, rng, tints=((190, 44, 40), (190, 44, 40), (74, 130, 56), (70, 50, 60)))
    for rim in around(centre, 0.31, 8, rng.random()):
        canvas.line([centre, rim], (190, 140, 80), 0.006)


def _draw_soup(canvas: Canvas, centre: Point, rng: Random) -> None:
    canvas.disc(centre, 0.32, (240, 240, 236))
    canvas.disc(centre, 0.26, (206, 212, 214))
    broth = rng.choice(((216, 92, 44), (228, 160, 58), (142, 158, 72)))
    canvas.disc(centre, 0.245, broth)
    canvas.arc(centre, (0.14, 0.13), (255, 244, 220, 170), width=0.02, degrees=(20, 280))
    _scatter(canvas, centre, 0.18, rng, tints=((84, 144, 60), (240, 200, 120), broth))


def _draw_egg_pan(canvas: Canvas, centre: Point, rng: Random) -> None:
    x, y = centre
    canvas.line([(x + 0.25, y + 0.18), (x + 0.55, y + 0.4)], (40, 38, 42), 0.06)
    canvas.disc(centre, 0.31, (44, 44, 50))
    canvas.disc(centre, 0.27, (66, 66, 74))
    turn = rng.random()
    for egg in around(centre, 0.12, rng.choice((1, 2, 3)), turn):
        for blob in around(egg, 0.05, 5, turn):
            canvas.disc(blob, 0.062, (252, 250, 244))
        canvas.disc(egg, 0.042, (250, 180, 40))
        canvas.disc((egg[0] - 0.012, egg[1] - 0.012), 0.011, (255, 226, 150))
    _scatter(canvas, centre, 0.22, rng, tints=((70, 140, 60), (196, 52, 44)), size=0.012)


def _draw_pasta(canvas: Canvas, centre: Point, rng: Random) -> None:
    canvas.disc(centre, 0.32, (236, 240, 244))
    canvas.disc(centre, 0.24, (214, 222, 230))
    for _ in range(34):
        x, y = centre[0] + rng.uniform(-0.1, 0.1), centre[1] + rng.uniform(-0.1, 0.1)
        start = rng.uniform(0, 360)
        canvas.arc(
            (x, y),
            (rng.uniform(0.05, 0.1),) * 2,
            rng.choice(((246, 210, 120), (232, 188, 92))),
            width=0.016,
            degrees=(start, start + 220),
        )
    canvas.disc(centre, 0.075, (196, 56, 40))
    _scatter(canvas, centre, 0.12, rng, tints=((74, 140, 58), (150, 96, 62)))


def _scatter(
    canvas: Canvas,
    centre: Point,
    reach: float,
    rng: Random,
    *,
    tints: tuple[tuple[int, int, int], ...],
    size: float = 0.026,
) -> None:
    for _ in range(16):
        angle, radius = rng.uniform(0, 2 * math.pi), reach * math.sqrt(rng.random())
        spot = (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
        canvas.disc(spot, size * rng.uniform(0.7, 1.2), rng.choice(tints))
