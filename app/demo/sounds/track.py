"""A mono track in memory and the few sound sources that the soundscapes are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.float32]

RATE = 24_000
"""Samples a second."""

SECONDS = 4.0
"""Length of every demo sound."""


class Track:
    """A track of `SECONDS`; sounds are mixed in at a time and cut at the end."""

    def __init__(self) -> None:
        self.wave: Wave = np.zeros(round(RATE * SECONDS), np.float32)

    def add(self, sound: Wave, start_s: float = 0.0, gain: float = 1.0) -> None:
        """Mixes a sound in, beginning at `start_s`."""
        first = round(start_s * RATE)
        part = sound[: max(0, len(self.wave) - first)]
        self.wave[first : first + len(part)] += np.float32(gain) * part

    def mastered(self) -> NDArray[np.int16]:
        """Returns 16-bit samples with short fades, the peak at 0.8 of full scale."""
        fade = np.clip(np.arange(len(self.wave)) / (0.03 * RATE), 0.0, 1.0)
        wave = self.wave * fade * fade[::-1]
        peak = float(np.abs(wave).max()) or 1.0
        return np.round(wave * (0.8 * 32767 / peak)).astype(np.int16)


def seconds(length_s: float) -> Wave:
    """Returns the times of a sound's samples, in seconds."""
    return np.arange(round(length_s * RATE), dtype=np.float32) / np.float32(RATE)


def tone(frequency_hz: float | Wave, length_s: float, overtones: tuple[float, ...] = (1.0,)) -> Wave:
    """Sums sines at the multiples of a fixed or gliding frequency, weighted by `overtones`."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(np.float64(frequency_hz), round(length_s * RATE))) / RATE
    total = np.zeros(len(phase))
    for number, weight in enumerate(overtones, start=1):
        total += weight * np.sin(number * phase)
    return total.astype(np.float32)


def glide(start_hz: float, end_hz: float, length_s: float) -> Wave:
    """Returns a frequency that moves evenly in pitch from start to end."""
    return np.geomspace(start_hz, end_hz, round(length_s * RATE)).astype(np.float32)


def noise(low_hz: float, high_hz: float, length_s: float, rng: np.random.Generator) -> Wave:
    """Returns noise between two frequencies, of unit standard deviation."""
    count = round(length_s * RATE)
    frequencies = np.fft.rfftfreq(count, 1 / RATE)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum[(frequencies < low_hz) | (frequencies > high_hz)] = 0.0
    wave = np.fft.irfft(spectrum, count)
    return (wave / (wave.std() or 1.0)).astype(np.float32)


def pluck(length_s: float, decay_s: float, attack_s: float = 0.004) -> Wave:
    """Returns an envelope that rises in `attack_s` and then falls to 1/e in `decay_s`."""
    times = seconds(length_s)
    envelope: Wave = np.minimum(times / np.float32(attack_s), np.float32(1)) * np.exp(-times / np.float32(decay_s))
    return envelope


def swell(length_s: float, period_s: float, phase: float = 0.0) -> Wave:
    """Returns an envelope between 0 and 1 that comes and goes every `period_s`; `phase` is in turns."""
    turns = seconds(length_s) / np.float32(period_s) + np.float32(phase)
    envelope: Wave = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    return envelope


def arch(length_s: float) -> Wave:
    """Returns an envelope that rises and falls once."""
    return swell(length_s, length_s)
