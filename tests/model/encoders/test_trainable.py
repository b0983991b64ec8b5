"""Encoders inside a network."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.encoders.base import load_encoder
from model.encoders.parts import Batch
from model.encoders.spec import EncoderSpec
from model.encoders.trainable import EncoderTower, LoadedEncoder, TrainableEncoder, take_apart

TEXTS = ["the ship in space", "love story", "a robot and a wolf in the snow", "jazz"]


class Batches:
    """Texts in batches, for items that have the texts of `place`."""

    def __init__(self, loaded: LoadedEncoder, batches: list[list[int]], place: list[int]) -> None:
        self.place = torch.tensor(place)
        self._made = [(rows, loaded.parts.frontend([TEXTS[row] for row in rows])) for rows in batches]

    def __iter__(self) -> Iterator[tuple[list[int], Batch]]:
        return iter(self._made)


@pytest.fixture
def spec(tiny: Callable[[str], Path]) -> EncoderSpec:
    return EncoderSpec("text", str(tiny("bert")), max_tokens=64)


def test_states_are_those_of_the_encoder_whatever_the_batches(spec: EncoderSpec) -> None:
    loaded = take_apart(spec)
    encoder = TrainableEncoder(loaded, [3, 0, 2], 32, checkpointing=False).eval()
    media = Batches(loaded, [[3, 1], [0], [2]], [2, -1, 0, 1, 3, 2])
    expected = load_encoder(spec).encode(TEXTS)[:, [3, 0, 2]].astype(np.float32)
    states = encoder(media).detach().numpy()
    np.testing.assert_allclose(states[[0, 2, 3, 4, 5]], expected[[2, 0, 1, 3, 2]], rtol=2.0**-11, atol=1e-5)
    assert not states[1].any()


def test_no_media_at_all(spec: EncoderSpec) -> None:
    loaded = take_apart(spec)
    encoder = TrainableEncoder(loaded, [3], 32, checkpointing=False)
    assert encoder(Batches(loaded, [], [-1, -1])).tolist() == [[[0.0] * 32]] * 2


def test_checkpointing_gives_the_same_gradients_with_dropout(spec: EncoderSpec) -> None:
    found = []
    for checkpointing in (False, True):
        loaded = take_apart(spec)
        encoder = TrainableEncoder(loaded, [3], 32, checkpointing=checkpointing).train()
        torch.manual_seed(0)
        states = encoder(Batches(loaded, [[0, 1], [2]], [0, 1, 2]))
        torch.autograd.backward((states * torch.arange(32)).sum())
        found.append([one.grad for one in encoder.parameters() if one.requires_grad])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again)


def test_training_switches_dropout_on_and_nothing_else(spec: EncoderSpec) -> None:
    encoder = TrainableEncoder(take_apart(spec), [3], 32, checkpointing=False).train()
    switched = {type(module) for module in encoder.modules() if module.training}
    assert switched == {nn.Dropout}
    assert not any(module.training for module in encoder.eval().modules())


def test_a_frozen_encoder_never_drops_and_has_no_graph(spec: EncoderSpec) -> None:
    loaded = take_apart(spec)
    loaded.parts.tower.requires_grad_(False)
    encoder = TrainableEncoder(loaded, [3], 32, checkpointing=True).train()
    assert not any(module.training for module in encoder.modules())
    assert not encoder.trains
    assert not encoder(Batches(loaded, [[0]], [0])).requires_grad


def test_the_tower_puts_states_in_place_of_media(spec: EncoderSpec) -> None:
    class Head(nn.Module):
        def forward(self, present: Tensor, text: Tensor, again: Tensor) -> tuple[Tensor, Tensor]:
            return text[:, 0] + again[:, 0], present.float()

    loaded = take_apart(spec)
    encoders = [TrainableEncoder(loaded, [layer], 32, checkpointing=False) for layer in (3, 1)]
    media = Batches(loaded, [[0]], [0])
    vectors, shares = EncoderTower(encoders, Head())(torch.ones(1, 2, dtype=torch.bool), media, media)
    torch.testing.assert_close(vectors, encoders[0](media)[:, 0] + encoders[1](media)[:, 0])
    assert shares.tolist() == [[1.0, 1.0]]


def test_what_was_tuned_is_what_trains(spec: EncoderSpec) -> None:
    loaded = take_apart(spec)
    loaded.parts.tower.requires_grad_(False)
    tower = dict(loaded.parts.tower.named_parameters())
    tower["encoder.layer.1.output.dense.bias"].requires_grad_(True)
    tower["pooler.dense.bias"].requires_grad_(True)
    tuned = TrainableEncoder(loaded, [3], 32, checkpointing=False).tuned()
    assert list(tuned.weights) == ["encoder.layer.1.output.dense.bias"], "no state depends on the pooler"
    assert (tuned.spec, tuned.base) == (spec, load_encoder(spec).fingerprint)
