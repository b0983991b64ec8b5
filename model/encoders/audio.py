"""Audio encoders: Whisper's encoder, wav2vec 2.0 and its relatives, and the Audio Spectrogram Transformer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoFeatureExtractor

from model.encoders.architecture import Architecture, architecture_of
from model.encoders.decode import Sample
from model.encoders.log_mel import LogMel
from model.encoders.parts import Batch, EncoderError, Frontend, Parts
from model.encoders.spec import EncoderSpec

_EXTRACTORS: Any = AutoFeatureExtractor


class WhisperTower(nn.Module):
    """Whisper's encoder over as many frames as there are, where the original insists on 30 seconds.

    Args:
        encoder: of transformers; it is taken over and changed.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.stride = encoder.conv1.stride[0] * encoder.conv2.stride[0]
        self.positions: Tensor
        self.register_buffer("positions", encoder.embed_positions.weight.detach(), persistent=False)

    def forward(self, input_features: Tensor, **arguments: Any) -> Any:
        """input_features [b, mels, frames] -> the encoder's output over t = frames / stride positions."""
        length = input_features.shape[-1] // self.stride
        positions = nn.Embedding(length, self.positions.shape[1], _weight=self.positions[:length])
        self.encoder.embed_positions = positions.requires_grad_(False)
        self.encoder.config.max_source_positions = length
        return self.encoder(input_features, **arguments)


@dataclass(frozen=True, slots=True)
class WhisperFrontend:
    """Log-mel spectrograms, padded with silence to the next full second only.

    Attributes:
        log_mel: makes the spectrograms.
        rate: samples in a second of sound.
        positions_per_s: positions of the encoder in a second of sound.
    """

    log_mel: LogMel
    rate: int
    positions_per_s: int

    def bucket(self, sample: Sample) -> int:
        """Whole seconds."""
        return -(-len(sample) // self.rate)

    def size(self, sample: Sample) -> int:
        """Within a bucket all cost the same."""
        return 0

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Sounds b x [samples] -> input_features [b, mels, frames]; the mask [b, t] is true where there was sound."""
        seconds = max(self.bucket(sample) for sample in samples)
        features = self.log_mel(samples, samples=seconds * self.rate)
        real = torch.tensor([math.ceil(len(sample) * self.positions_per_s / self.rate) for sample in samples])
        mask = torch.arange(seconds * self.positions_per_s) < real.unsqueeze(1)
        return Batch({"input_features": features}, mask)


@dataclass(frozen=True, slots=True)
class WaveFrontend:
    """Raw waves. Sounds of unlike length never share a batch: group norms over time would see the padding.

    Attributes:
        extractor: of transformers.
        shortest: in samples; what is shorter is padded with silence, since the network gives no position for it.
    """

    extractor: Any
    shortest: int

    def bucket(self, sample: Sample) -> int:
        """The length in samples."""
        return max(len(sample), self.shortest)

    def size(self, sample: Sample) -> int:
        """Within a bucket all cost the same."""
        return 0

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Sounds of one length b x [samples] -> input_values [b, samples]."""
        waves = [np.pad(sample, (0, max(0, self.shortest - len(sample)))) for sample in samples]
        inputs = self.extractor(waves, sampling_rate=self.extractor.sampling_rate, return_tensors="pt")
        return Batch({"input_values": inputs["input_values"]})


@dataclass(frozen=True, slots=True)
class SpectrogramFrontend:
    """Mel filter banks of a fixed length, in patches that AST lays out by band, then by time.

    Attributes:
        extractor: of transformers.
        bands: patches along the frequency axis.
        steps: patches along the time axis.
        stride: frames from one patch to the next.
    """

    extractor: Any
    bands: int
    steps: int
    stride: int

    def bucket(self, sample: Sample) -> int:
        """All become one length."""
        return 0

    def size(self, sample: Sample) -> int:
        """All cost the same."""
        return 0

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Sounds b x [samples] -> input_values [b, frames, mels]; the mask [b, bands * steps] is true on real time."""
        rate = self.extractor.sampling_rate
        waves = [np.pad(sample, (0, max(0, rate // 10 - len(sample)))) for sample in samples]
        values = self.extractor(waves, sampling_rate=rate, return_tensors="pt")["input_values"]
        real = torch.tensor([math.ceil(len(wave) * 100 / rate / self.stride) for wave in waves])
        mask = torch.arange(self.steps) < real.unsqueeze(1)
        return Batch({"input_values": values}, mask.repeat(1, self.bands))


FrontendOf = Callable[[Any, Any], Frontend]
"""Builds a frontend from a feature extractor and the config of the network."""


def _whisper_frontend(extractor: Any, config: Any) -> Frontend:
    positions_per_s = round(config.max_source_positions / extractor.chunk_length)
    return WhisperFrontend(LogMel.like(extractor), extractor.sampling_rate, positions_per_s)


def _wave_frontend(extractor: Any, config: Any) -> Frontend:
    shortest = 1
    for kernel, stride in zip(reversed(config.conv_kernel), reversed(config.conv_stride), strict=True):
        shortest = (shortest - 1) * stride + kernel
    return WaveFrontend(extractor, shortest)


def _spectrogram_frontend(extractor: Any, config: Any) -> Frontend:
    bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
    steps = (config.max_length - config.patch_size) // config.time_stride + 1
    return SpectrogramFrontend(extractor, bands, steps, config.time_stride)


_WAVE = (Architecture(has_cls=False, unused=("masked_spec_embed",)), _wave_frontend)

ARCHITECTURES: Mapping[str, tuple[Architecture, FrontendOf]] = {
    "whisper": (
        Architecture(tower=lambda network: WhisperTower(network.get_encoder()), unused=("decoder.",), has_cls=False),
        _whisper_frontend,
    ),
    "audio-spectrogram-transformer": (Architecture(skip=lambda config: 2), _spectrogram_frontend),
    "wav2vec2": _WAVE,
    "hubert": _WAVE,
    "wavlm": _WAVE,
}
"""By model_type; an unknown one is refused, since nothing says what its input is."""


def load(spec: EncoderSpec, folder: Path, dtype: torch.dtype = torch.float32) -> Parts:
    """Loads an audio encoder.

    Args:
        spec: its options.
        folder: a Hugging Face folder with a feature extractor config.
        dtype: of the weights.

    Raises:
        EncoderError: the folder cannot be used, or is of another sample rate.
    """
    known = {name: architecture for name, (architecture, _) in ARCHITECTURES.items()}
    architecture = architecture_of(folder, known, None)
    network = architecture.network(folder, dtype)
    _, frontend_of = ARCHITECTURES[network.config.model_type]
    return Parts(
        frontend=frontend_of(_extractor(spec, folder), network.config),
        pool=architecture.pool(spec, network.config),
        tower=architecture.tower(network),
        example=np.zeros(round(spec.seconds * spec.sample_rate), np.float32),
        arguments=architecture.arguments,
        layers=spec.layers,
    )


def _extractor(spec: EncoderSpec, folder: Path) -> Any:
    try:
        extractor = _EXTRACTORS.from_pretrained(folder)
    except (OSError, ValueError, ImportError) as error:
        raise EncoderError(f"{folder} has no feature extractor that can be loaded: {error}") from error
    if extractor.sampling_rate != spec.sample_rate:
        raise EncoderError(f"sample_rate: {spec.model} was trained at {extractor.sampling_rate} Hz")
    longest = getattr(extractor, "chunk_length", None)
    if longest is not None and spec.seconds > longest:
        raise EncoderError(f"seconds: {spec.model} takes at most {longest}")
    return extractor
