"""Whisper's spectrograms against those of the transformers extractor."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from model.encoders.log_mel import LogMel

RATE = 16_000
SECONDS = 2


def _sounds() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    tone = np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE)
    noise = 0.1 * rng.standard_normal(SECONDS * RATE)
    return [tone.astype(np.float32), noise.astype(np.float32), np.zeros(100, np.float32)]


@pytest.mark.parametrize(
    "options", [{}, {"feature_size": 128}, {"hop_length": 200, "n_fft": 512, "padding_value": 0.5}]
)
def test_they_are_those_of_the_extractor(options: dict[str, float]) -> None:
    """A tone shorter than the rest, noise of full length, and silence, which is as loud as its loudest moment."""
    extractor = WhisperFeatureExtractor(**options)
    expected = extractor(
        _sounds(), sampling_rate=RATE, padding="max_length", max_length=SECONDS * RATE, return_tensors="pt"
    )["input_features"]
    found = LogMel.like(extractor)(_sounds(), samples=SECONDS * RATE)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
