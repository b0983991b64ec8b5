"""Whisper's log-mel spectrograms: those of the transformers extractor at a third of the processor time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from model.encoders.decode import Sample

QUIETEST = 1e-10
"""Power below which nothing is told apart."""
RANGE = 8.0
"""Powers of ten below a sound's loudest moment that are kept."""


@dataclass(frozen=True, slots=True)
class LogMel:
    """Log-mel spectrograms of padded sounds (Radford et al. 2023, section 2.1).

    What it saves: the extractor copies each sound several times, and takes the magnitudes' roots to square them again.
    Its dithering is left out: a sound has one spectrogram.

    Attributes:
        filters: float32 [bins, mels].
        window: float32 [samples], of one Fourier transform.
        hop: samples from one frame to the next.
        silence: what sounds are padded with.
    """

    filters: Tensor
    window: Tensor
    hop: int
    silence: float

    @classmethod
    def like(cls, extractor: Any) -> Self:
        """Returns what does as a transformers `WhisperFeatureExtractor` does."""
        return cls(
            filters=torch.from_numpy(extractor.mel_filters.astype(np.float32)),
            window=torch.hann_window(extractor.n_fft),
            hop=extractor.hop_length,
            silence=extractor.padding_value,
        )

    def __call__(self, sounds: Sequence[Sample], *, samples: int) -> Tensor:
        """Sounds b x [up to samples] -> float32 [b, mels, frames], frames = samples / hop."""
        # One after the other: what comes between a sound and its spectrogram then stays in the processor's cache.
        return torch.stack([self._spectrogram(sound, samples) for sound in sounds]).mT

    def _spectrogram(self, sound: Sample, samples: int) -> Tensor:
        """A sound -> [frames, mels]."""
        padded = torch.full((samples,), self.silence)
        padded[: len(sound)] = torch.from_numpy(sound)
        spectrum = torch.stft(padded, len(self.window), self.hop, window=self.window, return_complex=True)
        real, imaginary = torch.view_as_real(spectrum.mT[:-1]).unbind(-1)
        logs = ((real.square() + imaginary.square()) @ self.filters).clamp(min=QUIETEST).log10()
        return (torch.maximum(logs, logs.max() - RANGE) + 4.0) / 4.0
