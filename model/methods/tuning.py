"""The methods that train encoders (PAPER section 7): full fine-tuning, Houlsby's adapters, LoRA and BitFit.

Each is the frozen method's network over the encoders' last states, behind encoders some of whose weights train.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import nn

from model.config import TrainingConfig
from model.methods import injection
from model.methods.base import Method
from model.methods.frozen import FROZEN


def _full(network: nn.Module, config: TrainingConfig) -> nn.Module:
    return injection.train_all(network)


def _adapter(network: nn.Module, config: TrainingConfig) -> nn.Module:
    return injection.add_adapters(network, config.tower.bottleneck)


def _lora(network: nn.Module, config: TrainingConfig) -> nn.Module:
    return injection.add_lora(network, config.tower.lora_rank)


def _bitfit(network: nn.Module, config: TrainingConfig) -> nn.Module:
    return injection.train_biases(network)


_ADAPTATIONS: dict[str, Callable[[nn.Module, TrainingConfig], nn.Module]] = {
    "full": _full,
    "adapter": _adapter,
    "lora": _lora,
    "bitfit": _bitfit,
}

TUNING: dict[str, Method] = {name: replace(FROZEN, adapt=adapt) for name, adapt in _ADAPTATIONS.items()}
"""By name."""
