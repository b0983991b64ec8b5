"""Writes Hugging Face folders without transformers, always with the same bytes for the same content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file


def write_folder(
    folder: Path, *, config: Mapping[str, Any], preprocessor: Mapping[str, Any], weights: Mapping[str, np.ndarray]
) -> None:
    """Writes what `AutoModel.from_pretrained` and its preprocessor read.

    Args:
        folder: exists and is empty.
        config: of the network.
        preprocessor: settings of the image processor or feature extractor.
        weights: by the names that transformers gives them.
    """
    for name, content in (("config.json", config), ("preprocessor_config.json", preprocessor)):
        (folder / name).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in sorted(weights.items())}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
