"""Video encoders: VideoMAE, and any image encoder over sampled frames with its states averaged over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.encoders import image
from model.encoders.architecture import Architecture, architecture_of
from model.encoders.decode import Sample
from model.encoders.parts import Batch, EncoderError, Frontend, Parts
from model.encoders.spec import EncoderSpec

ARCHITECTURES: Mapping[str, Architecture] = {"videomae": Architecture(has_cls=False)}
"""By model_type; an unknown one is refused, since nothing says how it takes its frames."""


@dataclass(frozen=True, slots=True)
class ClipFrontend:
    """Resizes, crops and normalises whole clips.

    Attributes:
        processor: of transformers, without torchvision.
        sizes: overrides of its size and crop_size.
    """

    processor: Any
    sizes: Mapping[str, Mapping[str, int]]

    def bucket(self, sample: Sample) -> int:
        """All clips become one size."""
        return 0

    def size(self, sample: Sample) -> int:
        """All clips cost the same."""
        return 0

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Clips b x uint8 [frames, h, w, 3] -> pixel_values [b, frames, 3, size, size]."""
        clips = [list(sample) for sample in samples]
        pixels = self.processor(clips, return_tensors="pt", input_data_format="channels_last", **self.sizes)
        return Batch({"pixel_values": pixels["pixel_values"]})


@dataclass(frozen=True, slots=True)
class FramesFrontend:
    """Lays the frames of all samples in one row for an image encoder.

    Attributes:
        images: the frontend of the image encoder.
    """

    images: Frontend

    def bucket(self, sample: Sample) -> int:
        """All frames become one size."""
        return 0

    def size(self, sample: Sample) -> int:
        """All clips cost the same."""
        return 0

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Clips b x uint8 [frames, h, w, 3] -> pixel_values [b * frames, 3, size, size]."""
        return self.images([frame for sample in samples for frame in sample])


def load(spec: EncoderSpec, folder: Path, dtype: torch.dtype = torch.float32) -> Parts:
    """Loads an encoder that takes whole clips.

    Args:
        spec: its options.
        folder: a Hugging Face folder with a preprocessor config.
        dtype: of the weights.

    Raises:
        EncoderError: the folder cannot be used, or is made for other clips.
    """
    architecture = architecture_of(folder, ARCHITECTURES, None)
    network = architecture.network(folder, dtype)
    config = network.config
    if spec.frames != config.num_frames:
        raise EncoderError(f"frames: {spec.model} takes exactly {config.num_frames}")
    if spec.image_size not in (None, config.image_size):
        raise EncoderError(f"image_size: {spec.model} takes exactly {config.image_size}")
    processor = image.image_processor(folder)
    return Parts(
        tower=architecture.tower(network),
        frontend=ClipFrontend(processor, image.input_sizes(processor, spec.image_size)),
        pool=architecture.pool(spec, config),
        example=np.zeros((spec.frames, 64, 64, 3), np.uint8),
        arguments=architecture.arguments,
        layers=spec.layers,
    )


def load_frames(spec: EncoderSpec, folder: Path, dtype: torch.dtype = torch.float32) -> Parts:
    """Loads an image encoder to run over sampled frames.

    Args:
        spec: its options.
        folder: a Hugging Face folder with a preprocessor config.
        dtype: of the weights.

    Raises:
        EncoderError: the folder cannot be used.
    """
    parts = image.load(spec, folder, dtype)
    return replace(
        parts,
        frontend=FramesFrontend(parts.frontend),
        example=np.zeros((spec.frames, 64, 64, 3), np.uint8),
        views=spec.frames,
    )
