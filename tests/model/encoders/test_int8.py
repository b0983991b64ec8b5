"""Linear layers in 8 bits: near those in float32, told apart by their fingerprint, and only where they work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from model.encoders import base
from model.encoders.base import EncoderError, load_encoder
from model.encoders.int8 import Int8Linear, layer_cosines, quantise
from model.encoders.spec import EncoderSpec
from model.encoders.trainable import take_apart

OTHERS = {"image": np.zeros((40, 60, 3), np.uint8), "text": "a few words", "audio": np.ones(8_000, np.float32)}


def test_a_layer_is_as_near_as_its_steps_allow() -> None:
    """Weights are rounded by half a step of max|w|/127 a row at most, inputs by half a step of their range/255."""
    torch.manual_seed(0)
    linear, inputs = nn.Linear(64, 32), torch.randn(5, 64)
    found = Int8Linear(linear)(inputs)
    weight = linear.weight.detach()
    half_weight = weight.abs().amax(dim=1) / 127 / 2
    half_input = float(inputs.max() - inputs.min()) / 255 / 2 * 1.01
    bound = inputs.abs().sum(dim=1, keepdim=True) * half_weight + half_input * (
        weight.abs().sum(dim=1) + 64 * half_weight
    )
    assert ((found - linear(inputs)).abs() <= bound).all()


def test_a_row_of_zeros_and_a_missing_bias_are_no_trouble() -> None:
    linear = nn.Linear(4, 2, bias=False)
    nn.init.zeros_(linear.weight)
    assert torch.equal(Int8Linear(linear)(torch.ones(3, 4)), torch.zeros(3, 2))


def test_only_plain_linear_layers_are_replaced() -> None:
    class Own(nn.Linear):
        pass

    network = nn.ModuleDict({"plain": nn.Sequential(nn.Linear(2, 2)), "own": Own(2, 2), "norm": nn.LayerNorm(2)})
    quantise(network)
    kinds = {name: type(one) for name, one in network.named_modules() if not list(one.children())}
    assert kinds == {"plain.0": Int8Linear, "own": Own, "norm": nn.LayerNorm}


def test_cosines_are_of_the_worst_sample_of_each_layer() -> None:
    reference = np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 2.0], [0.0, 2.0]]])
    states = np.array([[[3.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [0.0, 5.0]]])
    assert layer_cosines(states, reference) == pytest.approx((1.0, 0.5**0.5))


@pytest.mark.parametrize("modality", ["text", "image", "audio", "video"])
def test_an_encoder_in_8_bits_has_states_of_its_own_near_the_others(
    encoder_specs: tuple[EncoderSpec, ...], modality: str
) -> None:
    (spec,) = [one for one in encoder_specs if one.modality == modality]
    whole, small = load_encoder(spec), load_encoder(replace(spec, dtype="int8"))
    assert small.fingerprint != whole.fingerprint
    assert len(small.parity) == small.layers == whole.layers
    assert whole.parity == ()
    assert min(small.parity) > 0.98
    sample = OTHERS.get(modality, np.full((spec.frames, 40, 40, 3), 90, np.uint8))
    states, reference = small.encode([sample]), whole.encode([sample])
    assert not np.array_equal(states, reference)
    assert min(layer_cosines(states, reference)) > 0.98


def test_too_far_from_float32_it_is_refused(
    encoder_specs: tuple[EncoderSpec, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "LEAST_COSINE", 1.1)
    with pytest.raises(EncoderError, match="too far"):
        load_encoder(replace(encoder_specs[0], dtype="int8"))


def test_it_is_for_processors(encoder_specs: tuple[EncoderSpec, ...]) -> None:
    with pytest.raises(EncoderError, match="CPU only"):
        load_encoder(replace(encoder_specs[0], dtype="int8"), "meta")


def test_training_takes_the_encoder_apart_in_float32(encoder_specs: tuple[EncoderSpec, ...]) -> None:
    tower = take_apart(replace(encoder_specs[0], dtype="int8")).parts.tower
    assert not any(isinstance(one, Int8Linear) for one in tower.modules())


def test_kernels_are_asked_for_once_and_for_every_length(
    encoder_specs: tuple[EncoderSpec, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def note(network: nn.Module, *, dynamic: bool) -> None:
        asked.append(dynamic)

    monkeypatch.setattr(nn.Module, "compile", note)
    plain, compiled = load_encoder(encoder_specs[0]), load_encoder(encoder_specs[0], compiled=True)
    assert asked == [True]
    assert plain.fingerprint == compiled.fingerprint
