"""What each way of tuning trains, in every architecture that the loaders know."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.encoders.base import load_encoder
from model.encoders.parts import EncoderError
from model.encoders.spec import EncoderSpec
from model.encoders.trainable import LoadedEncoder, TrainableEncoder, take_apart
from model.methods import injection
from tests.fixtures.tiny_models import LAYERS, WIDTH, tiny_model

BOTTLENECK, RANK = 4, 2
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("text", {"max_tokens": 64}),
    "llama": ("text", {"max_tokens": 64}),
    "vit": ("image", {}),
    "dinov2": ("image", {}),
    "clip": ("image", {}),
    "siglip": ("image", {}),
    "videomae": ("video", {"frames": 4}),
    "whisper": ("audio", {"seconds": 2.0}),
    "wav2vec2": ("audio", {"seconds": 2.0}),
    "ast": ("audio", {"seconds": 2.0}),
}
WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "full": injection.train_all,
    "adapter": lambda network: injection.add_adapters(network, BOTTLENECK),
    "lora": lambda network: injection.add_lora(network, RANK),
    "bitfit": injection.train_biases,
}


class OneBatch:
    """The same medium for each of two items, and none for the third."""

    place = torch.tensor([0, 0, -1])

    def __init__(self, loaded: LoadedEncoder) -> None:
        self.batch = loaded.parts.frontend([loaded.parts.example])

    def __iter__(self) -> Any:
        yield [0], self.batch


def spec_of(folder: Path, name: str) -> EncoderSpec:
    modality, options = OPTIONS[name]
    return EncoderSpec(modality, str(tiny_model(folder, name)), **options)


def trainable(loaded: LoadedEncoder, way: str) -> TrainableEncoder:
    WAYS[way](loaded.parts.tower)
    return TrainableEncoder(loaded, [LAYERS], WIDTH, checkpointing=False)


def trained(encoder: nn.Module) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in encoder.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name in OPTIONS for way in WAYS if (name, way) != ("llama", "bitfit")]
)
def test_it_starts_at_the_frozen_encoder_and_every_trained_weight_gets_a_gradient(
    tiny_folder: Path, name: str, way: str
) -> None:
    spec = spec_of(tiny_folder, name)
    loaded = take_apart(spec)
    expected = load_encoder(spec).encode([loaded.parts.example])[0, -1].astype(np.float32)
    encoder = trainable(loaded, way)
    states = encoder(OneBatch(loaded))
    assert states.shape == (3, 1, WIDTH)
    assert not states[2].any()
    # What is stored is fp16, with 11 bits: off by 2^-11 of the number at most, and 2^-24 next to zero.
    for item in (0, 1):
        np.testing.assert_allclose(states[item, 0].detach(), expected, rtol=2.0**-11, atol=1e-5)
    torch.autograd.backward((states[0] * torch.arange(WIDTH)).sum())
    assert trained(encoder)
    assert [key for key, one in trained(encoder).items() if one.grad is None] == []
    assert [key for key, one in encoder.named_parameters() if not one.requires_grad and one.grad is not None] == []


# Query and value of every block: A [rank, width] and B [width, rank].
LORA = LAYERS * 2 * (RANK * WIDTH + WIDTH * RANK)
# After attention and after feed-forward of every block: two matrices, and a bias on each side.
ADAPTERS = LAYERS * 2 * (2 * WIDTH * BOTTLENECK + BOTTLENECK + WIDTH)


@pytest.mark.parametrize("name", OPTIONS)
def test_parameters_of_lora_and_adapters(tiny_folder: Path, name: str) -> None:
    counts = {
        way: sum(one.numel() for one in trained(trainable(take_apart(spec_of(tiny_folder, name)), way)).values())
        for way in ("lora", "adapter")
    }
    assert counts == {"lora": LORA, "adapter": ADAPTERS}


def test_parameters_of_bitfit_and_full_in_bert(tiny_folder: Path) -> None:
    spec = spec_of(tiny_folder, "bert")
    # A block: query, key, value, both outputs and both norms of 32, the inner layer of 64; and the embeddings' norm.
    biases = LAYERS * (7 * WIDTH + 64) + WIDTH
    assert sum(one.numel() for one in trained(trainable(take_apart(spec), "bitfit")).values()) == biases
    whole = {name: one.numel() for name, one in take_apart(spec).parts.tower.named_parameters()}
    without_pooler = sum(count for name, count in whole.items() if not name.startswith("pooler."))
    assert sum(one.numel() for one in trained(trainable(take_apart(spec), "full")).values()) == without_pooler


def test_bitfit_trains_biases_alone(tiny_folder: Path) -> None:
    encoder = trainable(take_apart(spec_of(tiny_folder, "bert")), "bitfit")
    assert all(name.endswith("bias") for name in trained(encoder))


@pytest.mark.parametrize(("way", "advice"), [("adapter", "use lora"), ("lora", "use bitfit")])
def test_an_unknown_architecture_is_refused_with_advice(way: str, advice: str) -> None:
    with pytest.raises(EncoderError, match=advice):
        WAYS[way](nn.Sequential(nn.Linear(2, 2)))


def test_no_biases(tiny_folder: Path) -> None:
    with pytest.raises(EncoderError, match="no biases"):
        WAYS["bitfit"](take_apart(spec_of(tiny_folder, "llama")).parts.tower)


def test_an_adapter_is_the_formula_of_the_docstring() -> None:
    """One block that does nothing but two linear maps, so that the arithmetic can be written out."""
    linear = nn.Linear(3, 3)
    block = nn.ModuleDict({"attention": nn.ModuleDict({"o_proj": linear}), "fc2": nn.Linear(3, 3)})
    injection.add_adapters(block, 2)
    adapter = linear.get_submodule("adapter")
    x = torch.randn(4, 3)
    before = x @ linear.weight.T + linear.bias
    torch.testing.assert_close(linear(x), before)
    weights = dict(adapter.named_parameters())
    with torch.no_grad():
        weights["up.weight"].normal_()
    inner = nn.functional.gelu(before @ weights["down.weight"].T + weights["down.bias"])
    torch.testing.assert_close(linear(x), before + inner @ weights["up.weight"].T + weights["up.bias"])


def test_lora_is_the_formula_of_the_docstring(tiny_folder: Path) -> None:
    network: Any = WAYS["lora"](take_apart(spec_of(tiny_folder, "bert")).parts.tower)
    query = network.encoder.layer[0].attention.self.query
    a, b = query.lora_A["default"].weight, query.lora_B["default"].weight
    assert not b.any()
    with torch.no_grad():
        b.normal_()
    x = torch.randn(4, WIDTH)
    expected = x @ query.base_layer.weight.T + query.base_layer.bias + 2 * x @ a.T @ b.T
    torch.testing.assert_close(query(x), expected)
