"""Composes the soundscape of each topic, with the item's own tempo, pitch and order of events."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from app.demo.sounds.track import SECONDS, Track, arch, glide, noise, pluck, seconds, swell, tone

_BLUES = (0, 3, 5, 6, 7, 10, 12)


def synthesise(topic: str, seed: int, item_id: str) -> NDArray[np.int16]:
    """Synthesises an item's sound.

    Args:
        topic: One of the demo topics.
        seed: Together with `item_id` decides tempo, pitch and order of events.
        item_id: The item.

    Returns:
        Mono samples at `RATE` for `SECONDS`.
    """
    track = Track()
    SOUNDSCAPES[topic](track, np.random.default_rng([seed, *item_id.encode()]))
    return track.mastered()


def compose_mountains(track: Track, rng: np.random.Generator) -> None:
    """Wind around the summit, an alphorn call and its echo, cow bells."""
    wind = noise(180, 700, SECONDS, rng) * (0.25 + swell(SECONDS, rng.uniform(1.8, 3.0), rng.random()))
    track.add(wind, gain=0.22)
    root = rng.uniform(95, 130)
    start = 0.1
    for step in rng.choice(np.array([2.0, 2.5, 3.0, 4.0]), 4):
        horn = tone(root * step, 0.8, (1.0, 0.7, 0.5, 0.3, 0.15)) * arch(0.8)
        track.add(horn, start, 0.55)
        track.add(horn, start + 0.35, 0.16)
        start += rng.uniform(0.7, 0.95)
    for _ in range(rng.integers(4, 8)):
        bell = tone(rng.uniform(700, 1000), 0.5, (1.0, 0.0, 0.6, 0.0, 0.3)) * pluck(0.5, 0.09)
        track.add(bell, rng.uniform(0, 3.5), 0.25)


def compose_ocean(track: Track, rng: np.random.Generator) -> None:
    """Breaking waves that come and go, gulls above."""
    period, phase = rng.uniform(1.7, 2.6), rng.random()
    track.add(noise(60, 500, SECONDS, rng) * (0.2 + swell(SECONDS, period, phase)), gain=0.5)
    track.add(noise(900, 6000, SECONDS, rng) * swell(SECONDS, period, phase - 0.15) ** 3, gain=0.5)
    for _ in range(rng.integers(2, 5)):
        start, pitch = rng.uniform(0, 3.0), rng.uniform(1300, 1900)
        for cry in range(rng.integers(2, 4)):
            gull = tone(glide(pitch, pitch * 0.62, 0.24), 0.24, (1.0, 0.7, 0.5, 0.3)) * arch(0.24)
            track.add(gull, start + 0.3 * cry, 0.4)


def compose_city(track: Track, rng: np.random.Generator) -> None:
    """Traffic hum, engines passing, two-tone horns and a siren far away."""
    track.add(noise(30, 220, SECONDS, rng), gain=0.3)
    for _ in range(3):
        length = rng.uniform(1.2, 1.8)
        engine = tone(glide(rng.uniform(95, 120), rng.uniform(65, 80), length), length, (1.0, 0.8, 0.7, 0.5, 0.4, 0.3))
        track.add(engine * arch(length), rng.uniform(0, 2.6), 0.3)
    for _ in range(rng.integers(2, 5)):
        length = rng.uniform(0.15, 0.4)
        horn = tone(rng.uniform(380, 440), length, (1.0, 0.9, 0.8, 0.6, 0.4))
        horn += tone(rng.uniform(480, 540), length, (1.0, 0.9, 0.8, 0.6, 0.4))
        track.add(horn * pluck(length, 1.0, 0.01), rng.uniform(0, 3.5), 0.2)
    wail = 650 * 2 ** (0.45 * np.sin(2 * np.pi * rng.uniform(0.45, 0.8) * seconds(SECONDS)))
    track.add(tone(wail, SECONDS, (1.0, 0.3, 0.2)), gain=0.16)


def compose_jazz(track: Track, rng: np.random.Generator) -> None:
    """Walking bass, swinging ride cymbal and a horn that improvises on the blues scale."""
    beat = 60 / rng.uniform(120, 168)
    root = 110 * 2 ** (rng.integers(-3, 4) / 12)
    for number in range(int(SECONDS / beat)):
        start = number * beat
        bass = tone(root / 2 * 2 ** (rng.choice(_BLUES) / 12), beat, (1.0, 0.6, 0.25)) * pluck(beat, 0.22)
        track.add(bass, start, 0.6)
        for offset in (0.0, 0.66) if number % 2 else (0.0,):
            track.add(noise(5000, 11000, 0.25, rng) * pluck(0.25, 0.06, 0.001), start + offset * beat, 0.1)
        for offset in (0.0, 0.66):
            if rng.random() < 0.75:
                length = beat * rng.uniform(0.35, 0.8)
                pitch = root * 4 * 2 ** (rng.choice(_BLUES) / 12) * (1 + 0.012 * np.sin(36 * seconds(length)))
                horn = tone(pitch, length, (1.0, 0.8, 0.6, 0.5, 0.3, 0.2)) * pluck(length, 0.5, 0.03)
                track.add(horn, start + offset * beat, 0.26)


def compose_techno(track: Track, rng: np.random.Generator) -> None:
    """Four kicks to the bar, hi-hats between them, an acid line of sixteen steps."""
    beat = 60 / rng.uniform(126, 140)
    root = 55 * 2 ** (rng.integers(0, 8) / 12)
    steps = rng.choice(np.array([0, 0, 0, 3, 7, 10, 12]), 16)
    for number in range(int(SECONDS / beat) + 1):
        start = number * beat
        track.add(tone(glide(170, 42, 0.28), 0.28) * pluck(0.28, 0.1, 0.002), start, 1.0)
        track.add(noise(7000, 11900, 0.1, rng) * pluck(0.1, 0.025, 0.001), start + beat / 2, 0.16)
        if number % 2:
            track.add(noise(900, 5000, 0.16, rng) * pluck(0.16, 0.04, 0.001), start, 0.16)
    for number in range(int(SECONDS / beat * 4)):
        sharp = 0.5 + 0.4 * np.sin(2 * np.pi * number / 32)
        overtones = tuple(float(sharp**order) for order in range(12))
        saw = tone(root * 2 ** (steps[number % 16] / 12), beat / 4, overtones) * pluck(beat / 4, 0.06)
        track.add(saw, number * beat / 4, 0.28)


def compose_cooking(track: Track, rng: np.random.Generator) -> None:
    """Fat that sizzles and crackles, a knife on the board, a pot that bubbles."""
    track.add(noise(3500, 11000, SECONDS, rng) * (0.6 + 0.4 * swell(SECONDS, 3.1, rng.random())), gain=0.1)
    for _ in range(rng.integers(90, 150)):
        track.add(
            noise(2500, 9000, 0.02, rng) * pluck(0.02, 0.003, 0.0005), rng.uniform(0, 3.9), rng.uniform(0.05, 0.3)
        )
    gap, start = rng.uniform(0.17, 0.28), rng.uniform(0.1, 0.4)
    while start < SECONDS - 0.9:
        chop = noise(500, 2600, 0.09, rng) * pluck(0.09, 0.014, 0.0008)
        chop += 0.9 * tone(rng.uniform(170, 200), 0.09) * pluck(0.09, 0.03, 0.001)
        track.add(chop, start, 0.5)
        start += gap
    for _ in range(rng.integers(10, 20)):
        low = rng.uniform(260, 480)
        track.add(tone(glide(low, low * 1.9, 0.06), 0.06) * arch(0.06), rng.uniform(0, 3.9), 0.22)


def compose_space(track: Track, rng: np.random.Generator) -> None:
    """Slow detuned pads in fifths, a deep drone and thin telemetry beeps."""
    root = rng.uniform(82, 124)
    for ratio, phase in ((1.0, 0.0), (1.5, 0.3), (2.0, 0.6), (3.0, 0.8)):
        for detune in (0.996, 1.004):
            pad = tone(root * ratio * detune, SECONDS, (1.0, 0.2)) * (0.3 + 0.7 * swell(SECONDS, 4.0, phase))
            track.add(pad, gain=0.16 / ratio**0.5)
    track.add(tone(root / 2, SECONDS), gain=0.3)
    beep_hz, gap, start = rng.uniform(1700, 2600), rng.uniform(0.35, 0.6), rng.uniform(0.1, 0.4)
    while start < SECONDS:
        beep = tone(beep_hz * rng.choice(np.array([1.0, 1.0, 1.25])), 0.07) * arch(0.07)
        for echo in range(4):
            track.add(beep, start + 0.13 * echo, 0.26 * 0.45**echo)
        start += gap * rng.choice(np.array([1, 1, 2]))


def compose_gardens(track: Track, rng: np.random.Generator) -> None:
    """Birds that chirp in phrases, a bee that passes, a light breeze in the leaves."""
    track.add(noise(800, 3000, SECONDS, rng) * (0.3 + swell(SECONDS, 2.9, rng.random())), gain=0.025)
    for _ in range(rng.integers(3, 5)):
        start, high = rng.uniform(0, 3.2), rng.uniform(2800, 4600)
        ratio, gap = rng.uniform(0.6, 1.5), rng.uniform(0.09, 0.16)
        for note in range(rng.integers(3, 8)):
            chirp = tone(glide(high, high * ratio, 0.07), 0.07, (1.0, 0.15)) * arch(0.07)
            track.add(chirp, start + note * gap, 0.4)
    buzz_s = rng.uniform(1.2, 2.2)
    hum = rng.uniform(190, 240) * (1 + 0.03 * np.sin(2 * np.pi * 5 * seconds(buzz_s)))
    bee = tone(hum, buzz_s, (1.0, 0.9, 0.7, 0.6, 0.5, 0.4, 0.3)) * arch(buzz_s)
    track.add(bee, rng.uniform(0, 4.0 - buzz_s), 0.1)


def compose_football(track: Track, rng: np.random.Generator) -> None:
    """A crowd that roars, the clapping of the stands, the referee's whistle and a kick."""
    for low, high in ((250, 600), (600, 1100), (1100, 2200)):
        roar = noise(low, high, SECONDS, rng) * (0.35 + swell(SECONDS, rng.uniform(3.0, 5.0), rng.random()))
        track.add(roar, gain=0.2)
    start, beat = rng.uniform(0, 0.5), rng.uniform(0.3, 0.4)
    for place in (0, 1, 2, 2.5, 3, 4, 4.5, 5, 5.5, 7):
        for _ in range(4):
            clap = noise(900, 4500, 0.07, rng) * pluck(0.07, 0.015, 0.001)
            track.add(clap, start + place * beat + rng.uniform(0, 0.025), 0.2)
    whistle_s = rng.uniform(0.3, 0.7)
    pea = rng.uniform(2300, 2900) * (1 + 0.03 * np.sign(np.sin(2 * np.pi * 32 * seconds(whistle_s))))
    track.add(tone(pea, whistle_s, (1.0, 0.3)) * pluck(whistle_s, 2.0, 0.02), rng.uniform(0.4, 3.0), 0.5)
    track.add(tone(glide(160, 70, 0.12), 0.12) * pluck(0.12, 0.04, 0.001), rng.uniform(0.2, 3.6), 1.2)


def compose_trains(track: Track, rng: np.random.Generator) -> None:
    """Steam strokes, wheels over the joints in pairs, and a whistle of three notes."""
    stroke, start, number = rng.uniform(0.17, 0.3), 0.0, 0
    while start < SECONDS:
        puff = noise(300, 3200, stroke, rng) * pluck(stroke, 0.05, 0.012)
        track.add(puff, start, 0.4 if number % 4 == 0 else 0.24)
        number, start = number + 1, start + stroke
    joint, start = rng.uniform(0.5, 0.75), rng.uniform(0, 0.4)
    while start < SECONDS:
        for offset in (0.0, 0.11):
            clack = tone(rng.uniform(300, 340), 0.08, (1.0, 0.5, 0.8, 0.4)) * pluck(0.08, 0.016, 0.001)
            track.add(clack, start + offset, 0.5)
        start += joint
    root, length = rng.uniform(330, 420), rng.uniform(0.9, 1.4)
    first = rng.uniform(0.2, 2.2)
    for ratio in (1.0, 1.26, 1.5):
        whistle = tone(root * ratio, length, (1.0, 0.5, 0.35, 0.2)) * pluck(length, 3.0, 0.08)
        track.add(whistle, first, 0.24)
    track.add(noise(2000, 6000, length, rng) * arch(length), first, 0.06)


SOUNDSCAPES: dict[str, Callable[[Track, np.random.Generator], None]] = {
    "mountains": compose_mountains,
    "ocean": compose_ocean,
    "city": compose_city,
    "jazz": compose_jazz,
    "techno": compose_techno,
    "cooking": compose_cooking,
    "space": compose_space,
    "gardens": compose_gardens,
    "football": compose_football,
    "trains": compose_trains,
}
