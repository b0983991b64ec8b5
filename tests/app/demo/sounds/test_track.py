"""The sources that soundscapes are made of."""

import numpy as np
import pytest

from app.demo.sounds.track import RATE, SECONDS, Track, arch, glide, noise, pluck, swell, tone


def loudest_hz(wave: np.ndarray) -> float:
    return float(np.fft.rfftfreq(len(wave), 1 / RATE)[np.abs(np.fft.rfft(wave)).argmax()])


def test_tone_has_its_pitch_and_overtones() -> None:
    wave = tone(500.0, 1.0, (0.5, 1.0))
    assert len(wave) == RATE
    assert loudest_hz(wave) == pytest.approx(1000, abs=1)


def test_glide_moves_evenly_in_pitch() -> None:
    path = glide(100.0, 400.0, 1.0)
    # Half way between two octaves lies one octave.
    assert path[len(path) // 2] == pytest.approx(200, rel=1e-3)


def test_noise_stays_in_its_band_at_unit_level() -> None:
    wave = noise(1000, 2000, 1.0, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequencies = np.fft.rfftfreq(len(wave), 1 / RATE)
    assert power[(frequencies >= 1000) & (frequencies <= 2000)].sum() / power.sum() > 0.999
    assert wave.std() == pytest.approx(1.0, abs=1e-3)


def test_envelopes() -> None:
    assert pluck(1.0, 0.5)[RATE // 2] == pytest.approx(np.exp(-1), rel=1e-3)
    assert swell(2.0, 1.0)[[0, RATE // 2, RATE]] == pytest.approx([0, 1, 0], abs=1e-3)
    assert arch(1.0)[RATE // 2] == pytest.approx(1.0, abs=1e-3)


def test_sounds_are_mixed_in_and_cut_at_the_end() -> None:
    track = Track()
    track.add(np.ones(RATE, np.float32), SECONDS - 0.5, 0.25)
    track.add(np.ones(RATE, np.float32), SECONDS + 1)
    assert track.wave.sum() == pytest.approx(0.25 * 0.5 * RATE)


def test_mastered_peaks_at_the_level_and_silence_stays_silent() -> None:
    track = Track()
    assert not track.mastered().any()
    track.add(tone(440.0, SECONDS) * np.float32(0.01))
    # 0.8 of full scale.
    assert np.abs(track.mastered().astype(int)).max() == pytest.approx(26214, abs=1)
