"""How the networks of each architecture are read from a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModel
from transformers.utils import logging

from model.encoders.parts import EncoderError, MeanPool, Pool, first_pool, last_pool, model_type
from model.encoders.spec import EncoderSpec

_LOGGING: Any = logging


@dataclass(frozen=True, slots=True)
class Architecture:
    """How the networks of one `model_type` are read.

    Attributes:
        load: the transformers class whose `from_pretrained` gives the network.
        tower: takes the wanted part out of that network.
        unused: prefixes of weights that may be missing, since no hidden state depends on them.
        skip: leading positions that are not content, from the network's config.
        pooling: what "auto" means.
        has_cls: whether the first position is a class token.
        arguments: further arguments of the forward.
    """

    load: Any = AutoModel
    tower: Callable[[Any], nn.Module] = lambda network: network
    unused: tuple[str, ...] = ("pooler.",)
    skip: Callable[[Any], int] = lambda config: 0
    pooling: str = "mean"
    has_cls: bool = True
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def pool(self, spec: EncoderSpec, config: Any) -> Pool:
        """Returns the pool that the spec asks for.

        Args:
            spec: names it, or says "auto".
            config: of the network.

        Raises:
            EncoderError: the architecture has no class token to take.
        """
        name = self.pooling if spec.pooling == "auto" else spec.pooling
        if name == "cls" and not self.has_cls:
            raise EncoderError(f"pooling: {spec.model} ({config.model_type}) has no class token, use 'mean'")
        pools: dict[str, Pool] = {"mean": MeanPool(self.skip(config)), "cls": first_pool, "last": last_pool}
        return pools[name]

    def network(self, folder: Path, dtype: torch.dtype = torch.float32) -> Any:
        """Loads the network, in evaluation mode.

        Args:
            folder: a Hugging Face folder.
            dtype: of its weights; in half precision only half the memory is ever needed.

        Raises:
            EncoderError: the folder lacks weights that the hidden states depend on, or cannot be read.
        """
        _LOGGING.disable_progress_bar()  # a service has no terminal, and what is missing is checked below
        _LOGGING.set_verbosity_error()
        try:
            network, report = self.load.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise EncoderError(f"{folder} cannot be loaded: {error}") from error
        missing = sorted(name for name in report["missing_keys"] if not name.startswith(self.unused))
        if missing:
            raise EncoderError(f"{folder} lacks {len(missing)} weights, among them {missing[0]}")
        return network.eval()


def architecture_of(folder: Path, known: Mapping[str, Architecture], default: Architecture | None) -> Architecture:
    """Looks an architecture up by the model_type of a folder.

    Args:
        folder: a Hugging Face folder.
        known: by model_type.
        default: for all others; None when there is no safe guess.

    Raises:
        EncoderError: it is not known and there is no default.
    """
    name = model_type(folder)
    architecture = known.get(name, default)
    if architecture is None:
        raise EncoderError(f"{folder} is a {name!r}; this loader knows {', '.join(sorted(known))}")
    return architecture
