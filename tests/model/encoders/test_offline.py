"""Packages that carry weights become Hugging Face folders, once, and with the same numbers."""

from __future__ import annotations

import json
import struct
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.encoders import ct2_whisper, offline, onnx_dinov2
from model.encoders.base import load_encoder
from model.encoders.offline import CARRIED, CarriedModel, default_specs, materialise


def _needs(name: str) -> pytest.MarkDecorator:
    package = CARRIED[name].package
    return pytest.mark.skipif(
        CARRIED[name].package_folder() is None,
        reason=f"the package {package} is not installed (requirements/offline-encoders.txt)",
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


def _fake(package: str = "json") -> CarriedModel:
    """Carried by a package that is always there, converted to one file."""
    return CarriedModel(
        package, "fake-1", "someone/fake", lambda source, target: (target / "config.json").write_text("{}")
    )


def test_without_packages_the_defaults_are_hub_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {name: replace(carried, package="no_such_package") for name, carried in CARRIED.items()}
    monkeypatch.setattr(offline, "CARRIED", absent)
    specs = default_specs(tmp_path / "encoders")
    assert [(spec.modality, spec.model) for spec in specs] == [
        ("text", "sentence-transformers/all-MiniLM-L6-v2"),
        ("image", "facebook/dinov2-small"),
        ("audio", "openai/whisper-tiny.en"),
        ("video", "facebook/dinov2-small"),
    ]
    assert not (tmp_path / "encoders").exists()


def test_a_model_is_converted_once(tmp_path: Path) -> None:
    made = materialise(_fake(), tmp_path)
    assert made == tmp_path / "fake-1"
    (made / "mark").touch()
    assert materialise(_fake(), tmp_path) == made
    assert (made / "mark").exists()


def test_two_at_once_make_one_whole_folder(tmp_path: Path) -> None:
    barrier = threading.Barrier(4)

    def convert(source: Path, target: Path) -> None:
        barrier.wait()
        (target / "config.json").write_text("{}")

    carried = replace(_fake(), convert=convert)
    threads = [threading.Thread(target=materialise, args=(carried, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["fake-1"]
    assert (tmp_path / "fake-1" / "config.json").exists()


def test_a_failed_conversion_leaves_nothing(tmp_path: Path) -> None:
    def convert(source: Path, target: Path) -> None:
        (target / "config.json").write_text("{")
        raise ValueError("not the file that was expected")

    with pytest.raises(ValueError, match="not the file"):
        materialise(replace(_fake(), convert=convert), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_ctranslate2_file_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'TransformerSpec'"):
        ct2_whisper.read_variables(struct.pack("<IH", 6, 16) + b"TransformerSpec\0", prefix="")


def test_variables_are_read_from_a_ctranslate2_file() -> None:
    kept, skipped = np.arange(6, dtype=np.float16).reshape(2, 3), np.zeros(2, np.int8)

    def variable(name: bytes, values: np.ndarray, dtype: int) -> bytes:
        shape = struct.pack(f"<B{values.ndim}I", values.ndim, *values.shape)
        return struct.pack("<H", len(name)) + name + shape + struct.pack("<BI", dtype, values.nbytes) + values.tobytes()

    head = struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + struct.pack("<II", 3, 2)
    data = head + variable(b"decoder/b\0", skipped, 1) + variable(b"encoder/a\0", kept, 4)
    variables = ct2_whisper.read_variables(data, prefix="encoder/")
    assert list(variables) == ["encoder/a"]
    assert np.array_equal(variables["encoder/a"], kept)
    with pytest.raises(ValueError, match="quantised"):
        ct2_whisper.read_variables(data, prefix="decoder/")


@_needs("dinov2")
def test_dinov2_gives_the_numbers_of_its_onnx_file(folder: Path) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    from transformers import AutoModel

    package = CARRIED["dinov2"].package_folder()
    made = materialise(CARRIED["dinov2"], folder)
    assert package is not None
    graph = onnx.load(str(package / onnx_dinov2.ONNX_FILE))
    last = next(node for node in graph.graph.node if "backbone.layernorm.bias" in node.input).output[0]
    graph.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])

    pixels = np.random.default_rng(0).standard_normal((1, 3, 224, 224)).astype(np.float32)
    (expected,) = session.run([last], {session.get_inputs()[0].name: pixels})
    network, report = AutoModel.from_pretrained(made, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    with torch.inference_mode():
        states = network.eval()(pixel_values=torch.from_numpy(pixels)).last_hidden_state
    assert np.abs(expected).mean() > 0.5
    np.testing.assert_allclose(states.numpy(), expected, atol=2e-3)


@_needs("whisper")
def test_whisper_loads_as_a_whole(folder: Path) -> None:
    from transformers import AutoModel

    made = materialise(CARRIED["whisper"], folder)
    _, report = AutoModel.from_pretrained(made, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert json.loads((made / "config.json").read_text())["encoder_layers"] == 4 if made else False


@_needs("minilm")
@_needs("dinov2")
@_needs("whisper")
def test_the_default_set_encodes_each_modality(folder: Path) -> None:
    samples = {
        "text": "a cowboy doll is threatened by a new toy",
        "image": np.zeros((60, 40, 3), np.uint8),
        "audio": np.sin(np.arange(16_000) / 10).astype(np.float32),
        "video": np.zeros((8, 60, 40, 3), np.uint8),
    }
    shapes = {}
    for spec in default_specs(folder):
        assert Path(spec.model).parent == folder
        shapes[spec.modality] = load_encoder(spec).encode([samples[spec.modality]]).shape
    assert shapes == {"text": (1, 7, 384), "image": (1, 13, 384), "audio": (1, 5, 384), "video": (1, 13, 384)}


@_needs("minilm")
def test_minilm_knows_what_is_alike(folder: Path) -> None:
    spec = next(spec for spec in default_specs(folder) if spec.modality == "text")
    texts = ["a spaceship lands on mars", "astronauts travel to a red planet", "how to bake bread with rye flour"]
    last = load_encoder(spec).encode(texts)[:, -1].astype(np.float32)
    last /= np.linalg.norm(last, axis=1, keepdims=True)
    likeness = last @ last.T
    assert likeness[0, 1] > likeness[0, 2] + 0.2
