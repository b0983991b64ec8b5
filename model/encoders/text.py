"""Text encoders: BERT-like models, their sentence-embedding descendants, and causal language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from model.encoders.decode import Sample
from model.encoders.parts import Architecture, Batch, EncoderError, Parts, architecture_of
from model.encoders.spec import EncoderSpec

_BERT_LIKE = Architecture()
_ENCODER_HALF = Architecture(tower=lambda network: network.get_encoder(), unused=("decoder.",), has_cls=False)
_CAUSAL = Architecture(pooling="last", has_cls=False, arguments={"use_cache": False})

ARCHITECTURES: Mapping[str, Architecture] = {
    "t5": _ENCODER_HALF,
    "mt5": _ENCODER_HALF,
    "llama": _CAUSAL,
    "mistral": _CAUSAL,
    "qwen2": _CAUSAL,
    "qwen3": _CAUSAL,
    "gemma": _CAUSAL,
    "gemma2": _CAUSAL,
    "gpt2": _CAUSAL,
    "gpt_neox": _CAUSAL,
    "phi3": _CAUSAL,
    "opt": _CAUSAL,
}
"""By model_type; every other one is read as BERT-like."""

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
    """Tokenises texts.

    Attributes:
        tokenizer: of transformers.
        prefix: put before every text.
        max_tokens: where a text is cut.
    """

    tokenizer: Any
    prefix: str
    max_tokens: int

    def bucket(self, sample: Sample) -> int:
        """All texts can share a batch."""
        return 0

    def size(self, sample: Sample) -> int:
        """The length in characters stands for the length in tokens."""
        return len(sample)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Texts b -> input_ids [b, t] and what else the tokenizer gives; the mask is its attention mask."""
        inputs = self.tokenizer(
            [f"{self.prefix}{text}" for text in samples],
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_tensors="pt",
        )
        return Batch(inputs, inputs["attention_mask"].bool())


def load(spec: EncoderSpec, folder: Path) -> Parts:
    """Loads a text encoder.

    Args:
        spec: its options.
        folder: a Hugging Face folder with a tokenizer.

    Raises:
        EncoderError: the folder cannot be used, or takes fewer tokens than asked for.
    """
    architecture = architecture_of(folder, ARCHITECTURES, _BERT_LIKE)
    network = architecture.network(folder)
    tokenizer = _tokenizer(spec, folder, network.config)
    return Parts(
        tower=architecture.tower(network),
        frontend=TextFrontend(tokenizer, spec.prefix, spec.max_tokens),
        pool=architecture.pool(spec, network.config),
        example="a " * spec.max_tokens,
        arguments=architecture.arguments,
    )


def _tokenizer(spec: EncoderSpec, folder: Path, config: Any) -> Any:
    if not any((folder / name).exists() for name in _VOCABULARIES):
        raise EncoderError(f"{folder} has no tokenizer: none of {', '.join(_VOCABULARIES)}")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="right", truncation_side="right")
    except (OSError, ValueError) as error:
        raise EncoderError(f"{folder} has no tokenizer that can be loaded: {error}") from error
    longest = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", None) or spec.max_tokens)
    if spec.max_tokens > longest:
        raise EncoderError(f"max_tokens: {spec.model} takes at most {longest}")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
