"""The sounds: right length and level, own to each item, and told apart by their spectrum."""

import numpy as np
import pytest

from app.demo.plan import TOPICS
from app.demo.sounds.soundscapes import synthesise
from app.demo.sounds.track import RATE, SECONDS

BANDS_HZ = np.array([0, 150, 300, 600, 1200, 2400, 4800, 12000])


def band_shares(samples: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    which = np.digitize(np.fft.rfftfreq(len(samples), 1 / RATE), BANDS_HZ) - 1
    total = np.log10(np.bincount(which, power, len(BANDS_HZ))[: len(BANDS_HZ) - 1] + 1.0)
    return total - total.mean()


@pytest.mark.parametrize("topic", TOPICS)
def test_sounds_have_length_level_and_their_own_notes(topic: str) -> None:
    samples = synthesise(topic, 7, "demo-a")
    assert samples.dtype == np.int16
    assert len(samples) == RATE * SECONDS
    # Peak at 0.8 of full scale, 32767.
    assert np.abs(samples.astype(int)).max() == pytest.approx(0.8 * 32767, abs=1)
    assert samples.astype(float).std() > 0.02 * 32767
    assert np.array_equal(samples, synthesise(topic, 7, "demo-a"))
    assert not np.array_equal(samples, synthesise(topic, 7, "demo-b"))
    assert not np.array_equal(samples, synthesise(topic, 8, "demo-a"))


def test_the_spectrum_alone_tells_most_topics_apart() -> None:
    shapes = {topic: [band_shares(synthesise(topic, 7, f"demo-{n}")) for n in range(4)] for topic in TOPICS}
    means = {topic: np.mean(found[:2], axis=0) for topic, found in shapes.items()}
    right = [
        min(TOPICS, key=lambda other, shape=shape: float(np.abs(means[other] - shape).sum())) == topic
        for topic in TOPICS
        for shape in shapes[topic][2:]
    ]
    # By chance alone: one topic of ten.
    assert np.mean(right) >= 0.8
