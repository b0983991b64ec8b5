"""Typed, validated settings of a training, importable without torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from model.options import ConfigError, choice, flag, integer, is_read_by, number, require_read, validated, words

__all__ = ["METHODS", "ConfigError", "TrainingConfig", "needs_media", "parse_config"]

CROSS_MODAL = ("crossan", "crossan+id")
INTRA_MODAL = ("iisan", "iisan-versa")
TUNING = ("full", "adapter", "lora", "bitfit")
"""The methods that change the encoders and so need the raw media."""
LINEAR = ("frozen", *TUNING)
SIDE = (*CROSS_MODAL, *INTRA_MODAL)
CONTENT = (*SIDE, *LINEAR, "vip5")
METHODS = (*SIDE, *LINEAR, "id", "vip5")
METHOD_DEFAULTS: dict[str, dict[str, Any]] = {"iisan": {"side_layers": 6, "layer_choice": "second"}}
"""Defaults that a method has in place of those below: IISAN reads layers 1, 3, 5, 7, 9, 11 of 12, as published."""


@dataclass(frozen=True)
class ModalityConfig:
    """What one encoder stores for an item: `layers_total` hidden states (depth + 1) of `width` numbers."""

    name: str
    width: int
    layers_total: int


@dataclass(frozen=True)
class CatalogueShape:
    """What a method must know of a catalogue to build its network."""

    item_count: int
    modalities: tuple[ModalityConfig, ...]


@dataclass(frozen=True)
class TowerConfig:
    """The item tower: which modalities and layers it reads, dimension transformation, side network and fusion.

    `modalities` names those to use, such as "text,image"; empty means all that have states.
    `cross_path` says what the cross-modal links read: the other modalities' `adapted` states z^(j-1), their `raw`
    projected states x^j, or nothing at all (`none`, the ablation).
    `layer_choice` says which l states of an encoder are read: the last of each of l equal `groups`, the `last` l, the
    `first` l, or l of every `second` one, counted from the first layer.
    `link_rank` is the rank of the maps that cross-modal links apply to what they carry; 0 for links of scalars alone.
    `fusion` is the mixture of modality `experts` or an ablation of it: `concat`, `mean`, the gate without experts
    (`gated`), the expert with the largest share alone (`top1`).
    `residual_min_events` are the training events from which on an item has a vector of its own added to its content;
    `residual_dropout` is how often a step sees such an item without it.
    `interest_groups` are groups of users who each see the items with side adapters, gates and experts of their own.
    `media_tokens` stand beside an item's id in the prompt, after `prompt_tokens` that open it.
    """

    item_width: int = integer(64, 4, 1024)
    modalities: str = words("", methods=CONTENT)
    side_width: int = integer(64, 4, 1024, methods=(*CROSS_MODAL, "iisan-versa", *LINEAR))
    bottleneck: int = integer(64, 1, 1024, methods=(*SIDE, "adapter", "vip5"))
    side_layers: int = integer(4, 1, 64, methods=SIDE)
    layer_choice: str = choice("groups", "last", "first", "second", methods=SIDE)
    cross_path: str = choice("adapted", "raw", "none", methods=CROSS_MODAL)
    link_rank: int = integer(0, 0, 1024, methods=CROSS_MODAL, needs=("cross_path", ("adapted", "raw")))
    shared_adapters: bool = flag(False, methods=CROSS_MODAL)
    activation: str = choice("gelu", "relu", methods=SIDE)
    fusion: str = choice("experts", "concat", "mean", "gated", "top1", methods=(*CROSS_MODAL, *LINEAR))
    expert: str = choice("mlp", "linear", methods=CROSS_MODAL, needs=("fusion", ("experts", "top1")))
    gate_temperature: float = number(0.1, 0.01, 10.0, methods=SIDE)
    modality_dropout: float = number(0.0, 0.0, 0.9, methods=CONTENT)
    state_dropout: float = number(0.1, 0.0, 0.9, methods=(*SIDE, *LINEAR))
    cached: bool = flag(True, methods=("crossan", *INTRA_MODAL, "frozen"))
    residual_min_events: int = integer(5, 1, 1_000_000, methods=("crossan+id",))
    residual_dropout: float = number(0.0, 0.0, 0.9, methods=("crossan+id",))
    interest_groups: int = integer(1, 1, 64, methods=("crossan",), needs=("cached", (True,)))
    lora_rank: int = integer(8, 1, 1024, methods=("lora",))
    media_tokens: int = integer(2, 0, 16, methods=("vip5",))
    prompt_tokens: int = integer(4, 1, 64, methods=("vip5",))

    @property
    def wanted_modalities(self) -> frozenset[str]:
        """The names in `modalities`; none means all."""
        return frozenset(name.strip() for name in self.modalities.split(",") if name.strip())


@dataclass(frozen=True)
class UserEncoderConfig:
    """The sequential user encoder; its width is the item vectors' width.

    `serving_precision` is how it is served: with `int8` matrices if its vectors stay the same (`model.quantise`), which
    `auto` wants from width 64 on.
    """

    max_length: int = integer(50, 1, 1000)
    blocks: int = integer(2, 1, 16)
    heads: int = integer(2, 1, 16)
    dropout: float = number(0.2, 0.0, 0.9)
    serving_precision: str = choice("auto", "fp32", "int8")


SOFTMAX = ("auto", "full", "in_batch", "sampled")


@dataclass(frozen=True)
class OptimisationConfig:
    """How the network is fitted.

    `loss` says what a target competes with (`model.losses`); `score` whether users and items are compared by inner
    product or by cosine, each divided by its temperature; `windows` whether an epoch goes through `all` events or only
    the `last` max_length ones of each user; `patience` counts epochs without a better validation NDCG@10; a step's
    gradient is that of `accumulation` batches, with a norm of at most `gradient_clip` (0: as it is).
    """

    loss: str = choice("auto", "full", "in_batch", "sampled", "gbce")
    score: str = choice("inner", "cosine")
    temperature: float = number(4.0, 0.01, 100.0, needs=("score", ("inner",)))
    cosine_temperature: float = number(0.05, 0.001, 10.0, needs=("score", ("cosine",)))
    label_smoothing: float = number(0.0, 0.0, 0.9, needs=("loss", SOFTMAX))
    negatives: int = integer(256, 1, 100_000, needs=("loss", ("sampled", "gbce")))
    negative_sampling: str = choice("uniform", "popularity", needs=("loss", ("sampled",)))
    gbce_calibration: float = number(0.75, 0.0, 1.0, needs=("loss", ("gbce",)))
    windows: str = choice("all", "last")
    epochs: int = integer(20, 1, 10_000)
    patience: int = integer(10, 1, 10_000)
    batch_size: int = integer(128, 1, 65_536)
    accumulation: int = integer(1, 1, 1_024)
    learning_rate: float = number(8e-3, 1e-7, 1.0)
    encoder_learning_rate: float = number(1e-4, 1e-8, 1.0, methods=TUNING)
    schedule: str = choice("cosine", "constant", "linear")
    warmup_epochs: int = integer(1, 0, 1000)
    weight_decay: float = number(0.01, 0.0, 10.0)
    gradient_clip: float = number(1.0, 0.0, 1000.0)
    average_decay: float = number(0.99, 0.0, 0.99999)
    precision: str = choice("auto", "fp32", "bf16", "fp16")
    activation_checkpointing: bool = flag(False)
    split: str = choice("leave_one_out", "global_time")
    seed: int = integer(0, 0, 2**31 - 1)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a training, apart from its data."""

    method: str = "crossan"
    tower: TowerConfig = field(default_factory=TowerConfig)
    user_encoder: UserEncoderConfig = field(default_factory=UserEncoderConfig)
    optimisation: OptimisationConfig = field(default_factory=OptimisationConfig)

    def hyperparameters(self) -> dict[str, Any]:
        """Returns the flat mapping that `parse_config` reads: every option that the method has."""
        parts = (self.tower, self.user_encoder, self.optimisation)
        return {
            known.name: getattr(part, known.name)
            for part in parts
            for known in dataclasses.fields(part)
            if is_read_by(known, self.method)
        }


PARTS = {"tower": TowerConfig, "user_encoder": UserEncoderConfig, "optimisation": OptimisationConfig}


def known_options(method: str) -> dict[str, dataclasses.Field[Any]]:
    """Returns the options that a method reads, by name, with type, range and default."""
    fields = (known for part in PARTS.values() for known in dataclasses.fields(part))
    return {known.name: known for known in fields if is_read_by(known, method)}


def needs_media(config: TrainingConfig) -> bool:
    """Whether a training runs the encoders, so that stored states are not enough."""
    return config.method in TUNING or not config.tower.cached


def parse_config(method: str, hyperparameters: Mapping[str, Any]) -> TrainingConfig:
    """Builds a training configuration from a flat mapping of hyperparameters; what is not given has its default.

    Raises:
        ConfigError: for an unknown method, a hyperparameter that it does not have, a wrong type, or a value outside
            its range.
    """
    if method not in METHODS:
        raise ConfigError("method", f"must be one of {', '.join(METHODS)}, not {method!r}")
    known = known_options(method)
    for name in hyperparameters:
        if name not in known:
            raise ConfigError(name, f"unknown hyperparameter; {method} has {', '.join(sorted(known))}")
    given = {**METHOD_DEFAULTS.get(method, {}), **hyperparameters}
    values = {name: validated(known[name], value) for name, value in given.items()}
    built = {
        key: part(**{f.name: values[f.name] for f in dataclasses.fields(part) if f.name in values})
        for key, part in PARTS.items()
    }
    for part in built.values():
        require_read(part)
    config = TrainingConfig(method, **cast(Any, built))
    if config.tower.item_width % config.user_encoder.heads:
        raise ConfigError("heads", f"must divide item_width ({config.tower.item_width})")
    if config.tower.interest_groups > 1 and config.optimisation.score == "cosine":
        # One norm over the slots of all groups would let each group's scores depend on the others.
        raise ConfigError("score", "must be inner with interest_groups above 1")
    return config
