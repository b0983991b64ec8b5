"""Image encoders: ViT, DINOv2, and the vision towers of CLIP and SigLIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoImageProcessor, CLIPVisionModel, SiglipVisionModel

from model.encoders.architecture import Architecture, architecture_of
from model.encoders.decode import Sample
from model.encoders.parts import Batch, EncoderError, Parts
from model.encoders.spec import EncoderSpec

_PROCESSORS: Any = AutoImageProcessor
_RESIZABLE: Mapping[str, Any] = {"interpolate_pos_encoding": True}


def _registers(config: Any) -> int:
    return 1 + int(config.num_register_tokens)


_CLIP = Architecture(CLIPVisionModel, skip=lambda config: 1, pooling="cls", arguments=_RESIZABLE)
_SIGLIP = Architecture(SiglipVisionModel, unused=("head.", "vision_model.head."), has_cls=False, arguments=_RESIZABLE)
_UNKNOWN = Architecture(has_cls=False)

ARCHITECTURES: Mapping[str, Architecture] = {
    "vit": Architecture(skip=lambda config: 1, pooling="cls", arguments=_RESIZABLE),
    "deit": Architecture(skip=lambda config: 2, pooling="cls", arguments=_RESIZABLE),
    "dinov2": Architecture(skip=lambda config: 1, pooling="cls"),
    "dinov2_with_registers": Architecture(skip=_registers, pooling="cls"),
    "dinov3_vit": Architecture(skip=_registers, pooling="cls"),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
}
"""By model_type. Any other one is averaged over all its positions, if all its layers have one shape."""


@dataclass(frozen=True, slots=True)
class ImageFrontend:
    """Resizes, crops and normalises images as the encoder was trained.

    Attributes:
        processor: of transformers, without torchvision.
        sizes: overrides of its size and crop_size.
    """

    processor: Any
    sizes: Mapping[str, Mapping[str, int]]

    def bucket(self, sample: Sample) -> int:
        """All images become one size."""
        return 0

    def size(self, sample: Sample) -> int:
        """All images cost the same."""
        return 0

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Images b x uint8 [h, w, 3] -> pixel_values [b, 3, size, size]."""
        pixels = self.processor(list(samples), return_tensors="pt", input_data_format="channels_last", **self.sizes)[
            "pixel_values"
        ]
        return Batch({"pixel_values": pixels})


def load(spec: EncoderSpec, folder: Path, dtype: torch.dtype = torch.float32) -> Parts:
    """Loads an image encoder.

    Args:
        spec: its options.
        folder: a Hugging Face folder with a preprocessor config.
        dtype: of the weights.

    Raises:
        EncoderError: the folder cannot be used.
    """
    architecture = architecture_of(folder, ARCHITECTURES, _UNKNOWN)
    network = architecture.network(folder, dtype)
    processor = image_processor(folder)
    return Parts(
        tower=architecture.tower(network),
        frontend=ImageFrontend(processor, input_sizes(processor, spec.image_size)),
        pool=architecture.pool(spec, network.config),
        example=np.zeros((64, 64, 3), np.uint8),
        arguments=architecture.arguments,
        layers=spec.layers,
    )


def image_processor(folder: Path) -> Any:
    """Loads the preprocessor of an image or video encoder.

    Args:
        folder: a Hugging Face folder with a preprocessor config.

    Raises:
        EncoderError: there is none that can be loaded.
    """
    try:
        return _PROCESSORS.from_pretrained(folder, backend="pil")
    except (OSError, ValueError, ImportError) as error:
        raise EncoderError(f"{folder} has no image processor that can be loaded: {error}") from error


def input_sizes(processor: Any, image_size: int | None) -> dict[str, dict[str, int]]:
    """Returns overrides that make a processor's output image_size pixels wide and high.

    What is cropped away stays the same share of the image as in the original settings.

    Args:
        processor: of transformers.
        image_size: wanted size in pixels; None changes nothing.
    """
    if image_size is None:
        return {}
    square = {"height": image_size, "width": image_size}
    edge = dict(processor.size).get("shortest_edge")
    if edge is None or not getattr(processor, "do_center_crop", False):
        return {"size": square}
    crop = dict(processor.crop_size)["height"]
    return {"size": {"shortest_edge": round(edge * image_size / crop)}, "crop_size": square}
