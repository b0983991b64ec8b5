"""The one encoder class: samples in, pooled hidden states of every layer out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from model.encoders.ahead import ahead
from model.encoders.decode import Sample
from model.encoders.int8 import INT8, LEAST_COSINE, layer_cosines, quantise, trial_sample
from model.encoders.loading import load_parts
from model.encoders.parts import Batch, EncoderError, Frontend, Parts
from model.encoders.source import fingerprint, locate
from model.encoders.spec import EncoderSpec

__all__ = ["Encoder", "EncoderError", "NonFiniteStates", "batched", "load_encoder"]

CPU_POSITIONS = 2_048
"""Positions of one forward pass on a CPU, at most. With more, each layer gets its memory anew from the system, page by
page, which can take a sixth of the time; and there is nothing to gain."""


class NonFiniteStates(EncoderError, ArithmeticError):
    """Some samples gave states that are infinite, not a number, or beyond float16.

    Attributes:
        indices: their positions among the samples; the others can be encoded without them.
    """

    def __init__(self, indices: Sequence[int]) -> None:
        super().__init__(f"{len(indices)} samples gave states that are not finite in float16")
        self.indices = tuple(indices)


class Encoder:
    """A frozen encoder, ready to run. Not to be shared between threads.

    Attributes:
        spec: what it was loaded from.
        fingerprint: sha256 (hex) of what decides its output; the same wherever its files lie.
        batch_size: samples of a forward pass; on a CPU only as many as its caches and its allocator take well.
        layers: stored states of a sample: one after each layer and one before the first, or those that the spec lists.
        width: of one state.
        parity: of an encoder in int8, each layer's cosine to its states in float32 on noise; else empty.
    """

    def __init__(self, spec: EncoderSpec, fingerprint: str, parts: Parts, device: str) -> None:
        """Puts the parts to work, and runs the example once to see that they fit and what comes out.

        Args:
            spec: the options.
            fingerprint: what its outputs are kept under.
            parts: from a loader.
            device: of torch, such as "cpu" or "cuda:0".

        Raises:
            EncoderError: it cannot run the example, the layers have unlike shapes, or the states are not finite.
        """
        self.spec = spec
        self.fingerprint = fingerprint
        self._parts = parts
        self._device = torch.device(device)
        self._tower = parts.tower.to(self._device).eval()
        self._dtype = weights_dtype(spec, device)
        self._example = parts.example
        self.parity: tuple[float, ...] = ()
        try:
            batch = parts.frontend([self._example])
            hidden = self._hidden(batch)
            states = self._pooled(hidden, batch.mask)
            _, self.layers, self.width = states.shape
        except (RuntimeError, IndexError, ValueError, TypeError) as error:
            raise EncoderError(f"{spec.model} cannot run an input of the size asked for: {error}") from error
        _check_finite(states)
        most = max(1, CPU_POSITIONS // hidden[0].shape[:2].numel()) if self._device.type == "cpu" else spec.batch_size
        self.batch_size = min(spec.batch_size, most)

    def encode(self, samples: Sequence[Sample]) -> np.ndarray:
        """Encodes n samples, from `model.encoders.decode.decode` with the same spec.

        Args:
            samples: in any order and of any lengths; they are batched by length here.

        Returns:
            float16 [n, layers, width], in the order of the samples; unless the spec lists layers, layer 0 is the
            embedding layer.

        Raises:
            NonFiniteStates: some states are not finite in float16.
            EncoderError: the layers have unlike shapes.
        """
        if not samples:
            return np.empty((0, self.layers, self.width), np.float16)
        rows: list[int] = []
        blocks: list[np.ndarray] = []
        batches = self._batches(samples)
        # A pass on a CPU takes every core already: threads that make the next batch meanwhile only hold it up.
        for batch_rows, batch in batches if self._device.type == "cpu" else ahead(batches):
            rows.extend(batch_rows)
            blocks.append(self._forward(batch))
        states = np.empty((len(samples), *blocks[0].shape[1:]), np.float16)
        states[rows] = np.concatenate(blocks)
        _check_finite(states)
        return states

    def _batches(self, samples: Sequence[Sample]) -> Iterator[tuple[list[int], Batch]]:
        """The rows of each batch, and the batch."""
        frontend = self._parts.frontend
        for rows in batched(frontend, samples, self.batch_size):
            yield rows, frontend([samples[row] for row in rows])

    def check(self) -> None:
        """Encodes the example once more: if that fails, the device is at fault and not what came before.

        Raises:
            EncoderError: the states are not finite.
            RuntimeError: of torch, when the device is out of order.
        """
        self.encode([self._example])

    def _forward(self, batch: Batch) -> np.ndarray:
        """One forward pass: b * views rows in, float16 [b, layers, width] out."""
        return self._pooled(self._hidden(batch), batch.mask)

    @torch.inference_mode()
    def _hidden(self, batch: Batch) -> Sequence[Tensor]:
        """The stored hidden states: layers of [b * views, t, width]."""
        inputs = {name: self._placed(tensor) for name, tensor in batch.inputs.items()}
        output = self._tower(**inputs, **self._parts.arguments, output_hidden_states=True)
        return self._parts.stored(output.hidden_states)

    @torch.inference_mode()
    def _pooled(self, hidden: Sequence[Tensor], mask: Tensor | None) -> np.ndarray:
        """Layers of [b * views, t, width] and the mask [b * views, t] -> float16 [b, layers, width]."""
        mask = None if mask is None else mask.to(self._device)
        states = _stack([self._parts.pool(layer.float(), mask) for layer in hidden])
        by_sample = states.reshape(-1, self._parts.views, *states.shape[1:]).mean(dim=1)
        return np.asarray(by_sample.half().cpu())

    def _placed(self, tensor: Tensor) -> Tensor:
        """Brings an input to the device, and its fractions to the precision of the weights."""
        return tensor.to(self._device, self._dtype if tensor.is_floating_point() else None)


def batched(frontend: Frontend, samples: Sequence[Sample], size: int) -> Iterator[list[int]]:
    """Yields the positions of each batch of at most `size` samples: of one bucket, like lengths together."""
    keys = [(frontend.bucket(sample), frontend.size(sample)) for sample in samples]
    batch: list[int] = []
    for row in sorted(range(len(samples)), key=keys.__getitem__):
        if batch and (len(batch) == size or keys[row][0] != keys[batch[0]][0]):
            yield batch
            batch = []
        batch.append(row)
    yield batch


_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, INT8: torch.float32}


def weights_dtype(spec: EncoderSpec, device: str) -> torch.dtype:
    """Returns the type in which an encoder's weights are loaded and used on a device.

    Args:
        spec: names it.
        device: of torch; a CPU has no fast float16 and takes float32 for it. Int8 is made from float32.
    """
    on_cpu = torch.device(device).type == "cpu"
    return torch.float32 if on_cpu and spec.dtype == "float16" else _DTYPES[spec.dtype]


def _stack(pooled: Sequence[Tensor]) -> Tensor:
    """Layers of [b, width] -> [b, layers, width]."""
    widths = {layer.shape for layer in pooled}
    if len(widths) != 1:
        raise EncoderError(f"the layers have unlike shapes: {sorted(tuple(shape) for shape in widths)}")
    return torch.stack(tuple(pooled), dim=1)


def _check_finite(states: np.ndarray) -> None:
    bad = ~np.isfinite(states).all(axis=(1, 2))
    if bad.any():
        raise NonFiniteStates(np.flatnonzero(bad).tolist())


def load_encoder(spec: EncoderSpec, device: str = "cpu", *, compiled: bool = False) -> Encoder:
    """Loads an encoder.

    Args:
        spec: which, and how it is used.
        device: of torch.
        compiled: whether torch makes kernels for this network: slow to start, and then faster on a GPU.

    Raises:
        SpecError: its files cannot be found.
        EncoderError: they cannot be used as the spec asks.
    """
    source = locate(spec)
    parts = load_parts(spec, source.folder, weights_dtype(spec, device))
    names = fingerprint(spec, source)
    if compiled:
        parts.tower.compile(dynamic=True)
    return _in_8_bits(spec, names, parts, device) if spec.dtype == INT8 else Encoder(spec, names, parts, device)


def _in_8_bits(spec: EncoderSpec, fingerprint: str, parts: Parts, device: str) -> Encoder:
    """The encoder with linear layers in 8 bits, and how near its states are to those without."""
    if torch.device(device).type != "cpu":
        raise EncoderError(f"dtype: {spec.model} in int8 runs on a CPU only, take float16 on {device}")
    trial = [trial_sample(parts.example)]
    reference = Encoder(spec, fingerprint, parts, device).encode(trial)
    quantise(parts.tower)
    encoder = Encoder(spec, fingerprint, parts, device)
    encoder.parity = layer_cosines(encoder.encode(trial), reference)
    if min(encoder.parity) < LEAST_COSINE:
        raise EncoderError(f"dtype: {spec.model} in int8 is too far from float32 here: {encoder.parity}")
    return encoder
