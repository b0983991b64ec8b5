"""Text encoders: BERT-like models, their sentence-embedding descendants, and causal language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from model.encoders.architecture import Architecture
from model.encoders.decode import Sample
from model.encoders.parts import Batch, EncoderError, Parts, model_type, resolve_layers
from model.encoders.spec import EncoderSpec

_BERT_LIKE = Architecture()
_ENCODER_HALF = Architecture(tower=lambda network: network.get_encoder(), unused=("decoder.",), has_cls=False)
_CAUSAL = Architecture(pooling="last", has_cls=False, arguments={"use_cache": False})
_BIDIRECTIONAL_DECODER = Architecture(has_cls=False, arguments={"use_cache": False})

ARCHITECTURES: Mapping[str, Architecture] = {"xlnet": Architecture(has_cls=False)}
"""By model_type, where the config of transformers tells the wrong thing; every other one is read by its config."""

_DECODER_INPUTS = ("input_ids", "attention_mask")
"""All that a decoder is given: where it takes token types too, they are other words (GPT-2) or mean images (Gemma)."""

_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)
"""Without one of them transformers makes up a tokenizer that knows no word."""


@dataclass(frozen=True, slots=True)
class TextFrontend:
    """Tokenises texts, and pads them on the right whatever the tokenizer would do.

    What is causal, attention or recurrence, cannot see what comes after; so every text gets the positions and the
    states that it has alone, also in networks that count positions without looking at the mask.

    Attributes:
        tokenizer: of transformers.
        prefix: put before every text.
        max_tokens: where a text is cut.
        names: of the tokenizer's outputs that the network is given; empty means all.
    """

    tokenizer: Any
    prefix: str
    max_tokens: int
    names: tuple[str, ...] = ()

    def bucket(self, sample: Sample) -> int:
        """All texts can share a batch."""
        return 0

    def size(self, sample: Sample) -> int:
        """The length in characters stands for the length in tokens."""
        return len(sample)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Texts b -> input_ids [b, t] and what else the tokenizer gives; the mask is its attention mask."""
        texts = [f"{self.prefix}{text}" for text in samples]
        encoded = self.tokenizer(texts, truncation=True, max_length=self.max_tokens, return_attention_mask=True)
        blank, padding = _blank(self.tokenizer), {"input_ids": _padding(self.tokenizer)}
        rows = [_one_token(encoded, row, blank) for row in range(len(texts))]
        inputs = {
            name: _right_padded([row[name] for row in rows], padding.get(name, 0))
            for name in self.names or tuple(encoded.keys())
        }
        return Batch(inputs, inputs["attention_mask"].bool())


def _one_token(encoded: Mapping[str, Any], row: int, blank: int) -> Mapping[str, list[int]]:
    """Returns the outputs for one text; one that has no token at all gets `blank`, so that it has a state."""
    if encoded["input_ids"][row]:
        return {name: values[row] for name, values in encoded.items()}
    return {name: [0] for name in encoded} | {"input_ids": [blank], "attention_mask": [1]}


def _right_padded(rows: Sequence[Sequence[int]], padding: int) -> Tensor:
    """Rows of unlike lengths b x [t_i] -> int64 [b, t]."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=padding)


def _padding(tokenizer: Any) -> int:
    """Returns the id to pad with; the mask hides it, but some networks count positions by it."""
    return next((one for one in (tokenizer.pad_token_id, tokenizer.eos_token_id) if one is not None), 0)


def _blank(tokenizer: Any) -> int:
    """Returns the token that stands for a text without any."""
    return next((one for one in (tokenizer.bos_token_id, tokenizer.eos_token_id) if one is not None), 0)


def load(spec: EncoderSpec, folder: Path, dtype: torch.dtype = torch.float32) -> Parts:
    """Loads a text encoder.

    Args:
        spec: its options.
        folder: a Hugging Face folder with a tokenizer.
        dtype: of the weights.

    Raises:
        EncoderError: the folder cannot be used, takes fewer tokens than asked for, or lacks a layer asked for.
    """
    architecture = read_architecture(folder)
    network = architecture.network(folder, dtype)
    tokenizer = _tokenizer(spec, folder, network.config)
    decodes = "use_cache" in architecture.arguments
    return Parts(
        tower=architecture.tower(network),
        frontend=TextFrontend(tokenizer, spec.prefix, spec.max_tokens, _DECODER_INPUTS if decodes else ()),
        pool=architecture.pool(spec, network.config),
        example="a " * spec.max_tokens,
        arguments=architecture.arguments,
        layers=_shorten(network, spec.layers) if decodes else spec.layers,
    )


def read_architecture(folder: Path) -> Architecture:
    """Tells from its config how a network is read.

    BERT and its like are among the causal language models of transformers too, for when their config says so.

    Args:
        folder: a Hugging Face folder.

    Raises:
        EncoderError: it has no config that transformers knows.
    """
    name = model_type(folder)
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    try:
        config: Any = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{folder} cannot be loaded: {error}") from error
    if config.is_encoder_decoder:
        return _ENCODER_HALF
    decides = name not in MODEL_FOR_MASKED_LM_MAPPING_NAMES or getattr(config, "is_decoder", False)
    if name not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or not decides:
        return _BERT_LIKE
    both_ways = getattr(config, "use_bidirectional_attention", False) in (True, "all")
    return _BIDIRECTIONAL_DECODER if both_ways or not getattr(config, "is_causal", True) else _CAUSAL


def _shorten(network: Any, layers: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Takes the layers off a decoder that come after the last one to store; returns what to store, from the start.

    One more stays: the network's last hidden state is normalised and the others are not.
    """
    blocks = getattr(network, "layers", None)
    if layers is None or not isinstance(blocks, nn.ModuleList):
        return layers
    places = resolve_layers(layers, len(blocks) + 1)
    network.layers = blocks[: places[-1] + 1]
    return tuple(places)


def _tokenizer(spec: EncoderSpec, folder: Path, config: Any) -> Any:
    if not any((folder / name).exists() for name in _VOCABULARIES):
        raise EncoderError(f"{folder} has no tokenizer: none of {', '.join(_VOCABULARIES)}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="right")
    except (OSError, ValueError) as error:
        raise EncoderError(f"{folder} has no tokenizer that can be loaded: {error}") from error
    positions = getattr(config, "max_position_embeddings", None) or 0  # XLNet says -1: without end
    longest = min(tokenizer.model_max_length, positions if positions > 0 else spec.max_tokens)
    if spec.max_tokens > longest:
        raise EncoderError(f"max_tokens: {spec.model} takes at most {longest}")
    return tokenizer
