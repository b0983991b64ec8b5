"""Which module loads an encoder. It is imported when it is needed: with transformers, that takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

import torch

from model.encoders.parts import Parts
from model.encoders.spec import EncoderSpec

Loader = Callable[[EncoderSpec, Path, torch.dtype], Parts]
"""Loads the parts of an encoder from a folder, with weights of the given type."""

LOADERS: Mapping[str, tuple[str, str]] = {
    "text": ("model.encoders.text", "load"),
    "image": ("model.encoders.image", "load"),
    "audio": ("model.encoders.audio", "load"),
    "video": ("model.encoders.video", "load"),
    "frames": ("model.encoders.video", "load_frames"),
}
"""By the spec's loader: the module, and the name of the function in it."""


def load_parts(spec: EncoderSpec, folder: Path, dtype: torch.dtype = torch.float32) -> Parts:
    """Loads the parts of an encoder.

    Args:
        spec: names the loader.
        folder: a Hugging Face folder.
        dtype: of the weights.

    Raises:
        EncoderError: the folder cannot be used as the spec asks.
    """
    module, name = LOADERS[spec.loader]
    loader: Loader = getattr(import_module(module), name)
    return loader(spec, folder, dtype)
