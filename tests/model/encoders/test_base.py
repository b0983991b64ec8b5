"""The encoder class: batching, order, layers, views, refusals, with towers whose arithmetic is in the open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.encoders.base import CPU_POSITIONS, Encoder, EncoderError, NonFiniteStates
from model.encoders.parts import Batch, MeanPool, Parts, first_pool, last_pool
from model.encoders.spec import EncoderSpec


class _Tower(nn.Module):
    """Layer j is the input plus 10 j; width 2."""

    def __init__(self, layers: int = 3, *, odd_layer: bool = False) -> None:
        super().__init__()
        self.layers = layers
        self.odd_layer = odd_layer

    def forward(self, values: Tensor, output_hidden_states: bool) -> Any:
        states = [values.unsqueeze(-1).expand(-1, -1, 2) + 10 * layer for layer in range(self.layers)]
        if self.odd_layer:
            states.append(values.unsqueeze(-1))
        return SimpleNamespace(hidden_states=tuple(states))


@dataclass
class _Frontend:
    """A sample is a list of numbers; it pads with -1000 and buckets by the first number's tens."""

    batches: list[int] = field(default_factory=list)

    def bucket(self, sample: Any) -> int:
        return int(sample[0] // 10)

    def size(self, sample: Any) -> int:
        return len(sample)

    def __call__(self, samples: Sequence[Any]) -> Batch:
        self.batches.append(len(samples))
        longest = max(len(sample) for sample in samples)
        rows = [[*sample, *[-1000.0] * (longest - len(sample))] for sample in samples]
        mask = [[True] * len(sample) + [False] * (longest - len(sample)) for sample in samples]
        return Batch({"values": torch.tensor(rows)}, torch.tensor(mask))


def _encoder(parts: Parts, batch_size: int = 2) -> Encoder:
    return Encoder(EncoderSpec("text", "m", batch_size=batch_size), "f" * 64, parts, "cpu")


def test_states_are_pooled_per_layer_in_the_order_of_the_samples() -> None:
    encoder = _encoder(Parts(_Tower(), _Frontend(), MeanPool(), [0.0]))
    states = encoder.encode([[1.0, 3.0], [5.0], [2.0, 3.0, 7.0]])
    assert (encoder.layers, encoder.width) == (3, 2)
    assert states.dtype == np.float16
    # means 2, 5 and 4 in layer 0; each layer adds 10
    expected = np.array([2.0, 5.0, 4.0])[:, None, None] + np.array([0.0, 10.0, 20.0])[None, :, None]
    assert np.array_equal(states, np.broadcast_to(expected, (3, 3, 2)))


def test_batches_are_of_one_bucket_and_no_larger_than_asked_for() -> None:
    frontend = _Frontend()
    encoder = _encoder(Parts(_Tower(), frontend, MeanPool(), [0.0]))
    frontend.batches.clear()
    encoder.encode([[1.0], [11.0], [2.0], [12.0], [3.0]])
    assert frontend.batches == [2, 1, 2]


def test_no_samples_give_no_states() -> None:
    assert _encoder(Parts(_Tower(), _Frontend(), MeanPool(), [0.0])).encode([]).shape == (0, 3, 2)


def test_the_views_of_a_sample_are_averaged() -> None:
    @dataclass
    class Pairs(_Frontend):
        def __call__(self, samples: Sequence[Any]) -> Batch:
            return Batch({"values": torch.tensor([[number] for sample in samples for number in sample])})

    encoder = _encoder(Parts(_Tower(), Pairs(), first_pool, [0.0, 0.0], views=2))
    assert encoder.encode([[1.0, 2.0], [4.0, 8.0]])[:, 0, 0].tolist() == [1.5, 6.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 70_000.0])
def test_states_that_are_not_finite_name_their_samples(bad: float) -> None:
    class Poisoned(_Tower):
        def forward(self, values: Tensor, output_hidden_states: bool) -> Any:
            return super().forward(torch.where(values == 9.0, bad, values), output_hidden_states)

    encoder = _encoder(Parts(Poisoned(), _Frontend(), MeanPool(), [0.0]))
    with pytest.raises(ArithmeticError) as caught:
        encoder.encode([[1.0], [9.0], [2.0]])
    assert isinstance(caught.value, NonFiniteStates)
    assert caught.value.indices == (1,)


def test_layers_of_unlike_shapes_are_refused() -> None:
    with pytest.raises(EncoderError, match="unlike shapes"):
        _encoder(Parts(_Tower(odd_layer=True), _Frontend(), MeanPool(), [0.0]))


def test_pools() -> None:
    hidden = torch.tensor([[[1.0], [2.0], [3.0], [100.0]]])
    mask = torch.tensor([[True, True, True, False]])
    assert MeanPool()(hidden, mask).item() == 2.0  # (1 + 2 + 3) / 3
    assert MeanPool(skip=1)(hidden, mask[:, 1:]).item() == 2.5  # (2 + 3) / 2
    assert MeanPool(skip=2)(hidden, None).item() == 51.5  # (3 + 100) / 2
    assert first_pool(hidden, mask).item() == 1.0
    assert last_pool(hidden, mask).item() == 3.0
    assert last_pool(hidden, None).item() == 100.0


@pytest.mark.parametrize(("longest", "size"), [(4, 8), (CPU_POSITIONS // 3, 3), (2 * CPU_POSITIONS, 1)])
def test_a_pass_on_a_cpu_has_no_more_positions_than_it_takes_well(longest: int, size: int) -> None:
    """The example is the longest input: its positions say how many samples go through at once, of 8 asked for."""
    frontend = _Frontend()
    encoder = _encoder(Parts(_Tower(), frontend, MeanPool(), [0.0] * longest), batch_size=8)
    assert encoder.batch_size == size
    frontend.batches.clear()
    encoder.encode([[1.0]] * 8)
    assert max(frontend.batches) == size
