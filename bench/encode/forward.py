"""The floor: nothing but forward passes over tensors that are ready."""

from collections.abc import Sequence
from typing import Any

import torch

from model.encoders.base import batched
from model.encoders.decode import DecodeLimits, decode
from model.encoders.spec import EncoderSpec
from model.encoders.trainable import take_apart


class BareForward:
    """An encoder's network and the batches of some contents: sorted by length, as full as they can be.

    Args:
        spec: of the encoder.
        contents: raw media.
        batch_size: of one pass, as in the encoder that is measured.
    """

    def __init__(self, spec: EncoderSpec, contents: Sequence[bytes], *, batch_size: int) -> None:
        parts = take_apart(spec).parts
        self._tower, self._arguments = parts.tower.eval(), parts.arguments
        samples: list[Any] = [decode(spec, content, DecodeLimits()) for content in contents]
        rows = batched(parts.frontend, samples, batch_size)
        self._batches = [parts.frontend([samples[row] for row in batch]).inputs for batch in rows]

    @torch.inference_mode()
    def run(self) -> None:
        """Run over all batches once."""
        for inputs in self._batches:
            self._tower(**inputs, **self._arguments)
