"""Linear layers in 8 bits, for encoders on a CPU: about half the time, and states that are a little other ones."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor, nn

from model.encoders.decode import Sample

INT8 = "int8"
"""The `dtype` of a spec that asks for it; it is part of the fingerprint, so states of the two are never mixed."""
LEAST_COSINE = 0.9
"""To the states in float32, of any layer on the trial sample: below it the arithmetic of this processor is at fault."""
_TOP = 127


class Int8Linear(nn.Module):
    """A linear layer with one scale for each row of its weights, and one for all of its input, found at each call.

    Args:
        linear: the layer in float32.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach()
        scales = (weight.abs().amax(dim=1) / _TOP).clamp_min(torch.finfo(torch.float32).tiny).double()
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        with warnings.catch_warnings():
            # torch announces that such tensors will go; the operators on packed weights have no successor in it yet.
            warnings.simplefilter("ignore", UserWarning)
            rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        bias = None if linear.bias is None else linear.bias.detach()
        self._packed = torch.ops.quantized.linear_prepack(rounded, bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., d_in] -> [..., d_out], float32."""
        outputs: Tensor = torch.ops.quantized.linear_dynamic(inputs, self._packed)
        return outputs


def quantise(network: nn.Module) -> None:
    """Puts every plain linear layer of a network, which is changed, into 8 bits; what derives from one stays."""
    for name, child in network.named_children():
        if type(child) is nn.Linear:
            setattr(network, name, Int8Linear(child))
        else:
            quantise(child)


def layer_cosines(states: np.ndarray, reference: np.ndarray) -> tuple[float, ...]:
    """The parity report: of each layer, the least cosine of any sample's states to the reference's.

    Args:
        states: [n, layers, width].
        reference: the same samples' in float32.
    """
    left, right = states.astype(np.float64), reference.astype(np.float64)
    norms = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    cosines = (left * right).sum(axis=-1) / np.maximum(norms, np.finfo(np.float64).tiny)
    return tuple(float(cosine) for cosine in cosines.min(axis=0))


def trial_sample(example: Sample) -> Sample:
    """Noise of the form of an encoder's example; of a text the example itself."""
    rng = np.random.default_rng(0)
    if not isinstance(example, np.ndarray):
        return example
    if example.dtype == np.uint8:
        return rng.integers(0, 256, example.shape, np.uint8)
    return np.asarray(rng.standard_normal(example.shape), np.float32).clip(-1.0, 1.0)
