"""Encoders inside a network: raw media in, pooled hidden states with gradients out (PAPER section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.encoders.loading import load_parts
from model.encoders.parts import Batch, Parts
from model.encoders.source import fingerprint, locate
from model.encoders.spec import EncoderSpec


class MediaBatch(Protocol):
    """The media of one modality of n items.

    Attributes:
        place: int64 [n], which of the different media each item has; -1 where it has none.
    """

    place: Tensor

    def __iter__(self) -> Iterator[tuple[list[int], Batch]]:
        """Yields batches on the device, each with the numbers of the media that it holds."""


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder taken apart, and where it comes from.

    Attributes:
        spec: what it was loaded from.
        fingerprint: of the encoder as it came, before any training.
        parts: its network, frontend and pool.
    """

    spec: EncoderSpec
    fingerprint: str
    parts: Parts


def take_apart(spec: EncoderSpec) -> LoadedEncoder:
    """Loads the parts of an encoder.

    Raises:
        SpecError: its files cannot be found.
        EncoderError: they cannot be used as the spec asks.
    """
    source = locate(spec)
    return LoadedEncoder(spec, fingerprint(spec, source), load_parts(spec, source.folder))


@dataclass(frozen=True)
class TunedEncoder:
    """What training has made of an encoder.

    Attributes:
        spec: of the encoder that it started from.
        base: its fingerprint.
        weights: the trained parameters by name, on the CPU.
    """

    spec: EncoderSpec
    base: str
    weights: Mapping[str, Tensor]


class TrainableEncoder(nn.Module):
    """An encoder as part of a network; it trains what its network's parameters allow, which may be nothing.

    Normalisation, layer dropping and masking stay as in use: of the training mode only dropout is taken over, and
    that only where something trains.

    Args:
        encoder: its network is taken over.
        layers: the stored states to give, in order.
        width: D_k of one state.
        checkpointing: whether activations are computed again in the backward pass, batch by batch, and not kept.
    """

    def __init__(self, encoder: LoadedEncoder, layers: Sequence[int], width: int, *, checkpointing: bool) -> None:
        super().__init__()
        parts = encoder.parts
        self.spec, self.fingerprint = encoder.spec, encoder.fingerprint
        self.network = parts.tower
        self.layers, self.width = tuple(layers), width
        self.checkpointing = checkpointing
        self._pool, self._views, self._arguments = parts.pool, parts.views, parts.arguments
        self._stored = parts.stored
        self._freeze_unused(parts.frontend([parts.example]))

    @property
    def trains(self) -> bool:
        """Whether any of its weights does."""
        return any(parameter.requires_grad for parameter in self.network.parameters())

    def train(self, mode: bool = True) -> TrainableEncoder:
        """Switches dropout alone, see the class."""
        super().train(False)
        mode = mode and self.trains
        for module in self.network.modules():
            if isinstance(module, nn.Dropout):
                module.train(mode)
        return self

    def tuned(self) -> TunedEncoder:
        """Returns what has been trained."""
        trained = {
            name: parameter.detach().cpu()
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad
        }
        return TunedEncoder(self.spec, self.fingerprint, trained)

    def forward(self, media: MediaBatch) -> Tensor:
        """Encodes the media of n items to states [n, l, D_k], zeros where an item has none."""
        order: list[int] = []
        blocks: list[Tensor] = []
        with nullcontext() if self.trains else torch.no_grad():
            for numbers, batch in media:
                order.extend(numbers)
                blocks.append(self._encode(batch))
        nothing = torch.zeros(1, len(self.layers), self.width, device=media.place.device)
        encoded = torch.cat([*blocks, nothing])[torch.argsort(torch.tensor([*order, len(order)]))]
        return encoded[media.place]

    def _freeze_unused(self, example: Batch) -> None:
        """Takes the weights that no state depends on, such as those of a pooler, out of the training."""
        if not self.trains:
            return
        self.eval()
        torch.autograd.backward(self._pooled(example).sum())
        for parameter in self.network.parameters():
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None

    def _encode(self, batch: Batch) -> Tensor:
        """One forward pass: b * views rows in, [b, l, D_k] out."""
        if self.checkpointing and self.trains and torch.is_grad_enabled():
            states: Tensor = checkpoint(self._pooled, batch, use_reentrant=False)
            return states
        return self._pooled(batch)

    def _pooled(self, batch: Batch) -> Tensor:
        output = self.network(**batch.inputs, **self._arguments, output_hidden_states=True)
        stored = self._stored(output.hidden_states)
        chosen = [self._pool(stored[layer].float(), batch.mask) for layer in self.layers]
        states = torch.stack(chosen, dim=1)
        return states.reshape(-1, self._views, *states.shape[1:]).mean(dim=1)


class EncoderTower(nn.Module):
    """Encoders that run in every step, and the item tower that reads their states.

    Args:
        encoders: one for each modality, in the head's order.
        head: what would read the same states from a store: (…, present, *states) to vectors and shares.
    """

    def __init__(self, encoders: Sequence[TrainableEncoder], head: nn.Module) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(encoders)
        self.head = head

    def trainable(self) -> list[TrainableEncoder]:
        """Returns the encoders, by their type."""
        return [encoder for encoder in self.encoders if isinstance(encoder, TrainableEncoder)]

    def forward(self, *inputs: Tensor | MediaBatch) -> tuple[Tensor, Tensor]:
        """Takes what the head reads, with the media of m modalities in place of the states, which come last.

        Returns:
            Vectors [n, w] and shares [n, m].
        """
        count = len(self.encoders)
        states = [encoder(media) for encoder, media in zip(self.encoders, inputs[-count:], strict=True)]
        described: tuple[Tensor, Tensor] = self.head(*inputs[:-count], *states)
        return described
