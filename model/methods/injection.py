"""Which weights of an encoder's network train: all, its biases, adapters in its blocks, or low-rank updates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from model.encoders.parts import EncoderError
from model.modules.adapters import SideAdapter

_ATTENTION_ENDS = (
    r"attention\.output\.dense",
    r"(attention|self_attn)\.(o_proj|out_proj|out_lin|dense)",
    r"SelfAttention\.o",
    r"attn\.(o|c_proj|Wo)",
)
_FEED_FORWARD_ENDS = (
    r"\d+\.output\.dense",
    r"fc2",
    r"mlp\.(down_proj|c_proj|dense_4h_to_h|weights_out|Wo)",
    r"feed_forward\.output_dense",
    r"DenseReluDense\.wo",
    r"ffn\.lin2",
)
"""Ends of the names of the linear maps that attention and feed-forward give their results through."""

_QUERIES_AND_VALUES = r"query|value|q_proj|v_proj|q|v|q_lin|v_lin"
_FUSED = r"query_key_value|qkv_proj|Wqkv|c_attn"
"""Last parts of the names of projections; the fused ones hold the keys too."""


def train_all(network: nn.Module) -> nn.Module:
    """Full fine-tuning: every weight trains but those that the architecture itself holds fixed."""
    return network


def train_biases(network: nn.Module) -> nn.Module:
    """BitFit: the biases train and nothing else.

    Raises:
        EncoderError: the network has none.
    """
    found = 0
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name.endswith("bias"))
        found += parameter.requires_grad
    if not found:
        raise EncoderError("there are no biases to train; use lora or adapter")
    return network


def add_adapters(network: nn.Module, bottleneck: int) -> nn.Module:
    """Houlsby's adapters: a bottleneck after attention and one after feed-forward in every block; they alone train.

    The result of each sublayer's last linear map goes through x + W_up · GELU(W_down x), with W_up = 0 at the start.

    Raises:
        EncoderError: no such sublayers are known in the network.
    """
    network.requires_grad_(False)
    attention, feed_forward = (_modules(network, ends) for ends in (_ATTENTION_ENDS, _FEED_FORWARD_ENDS))
    if not attention or len(attention) != len(feed_forward):
        raise EncoderError(f"no places for adapters are known in a {type(network).__name__}; use lora or bitfit")
    for module in (*attention, *feed_forward):
        adapter = SideAdapter(_width(module), bottleneck, nn.GELU())
        nn.init.zeros_(adapter.up.weight)
        module.add_module("adapter", adapter)
        module.register_forward_hook(_through_adapter)
    return network


def add_lora(network: nn.Module, rank: int) -> nn.Module:
    """LoRA: W + 2 B A on the query and value projections, B = 0 at the start; A and B alone train.

    Raises:
        EncoderError: no such projections are known in the network.
    """
    from peft import LoraConfig, inject_adapter_in_model  # takes seconds, and no other method wants it

    named = {name: module for name, module in network.named_modules() if not list(module.children())}
    targets = [name for name in named if re.fullmatch(_QUERIES_AND_VALUES, name.rpartition(".")[2])]
    targets = targets or [name for name in named if re.fullmatch(_FUSED, name.rpartition(".")[2])]
    if not targets:
        raise EncoderError(f"no query and value projections are known in a {type(network).__name__}; use bitfit")
    is_transposed = not isinstance(named[targets[0]], nn.Linear)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets, fan_in_fan_out=is_transposed
    )
    injected: nn.Module = inject_adapter_in_model(config, network)
    return injected


def _modules(network: nn.Module, ends: Sequence[str]) -> list[nn.Module]:
    pattern = re.compile(rf"(.*\.)?({'|'.join(ends)})")
    return [module for name, module in network.named_modules() if pattern.fullmatch(name)]


def _width(module: Any) -> int:
    """Returns the numbers that a linear map, or GPT-2's transposed one, gives."""
    return int(module.out_features if isinstance(module, nn.Linear) else module.nf)


def _through_adapter(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    adapted: Tensor = module.get_submodule("adapter")(output)
    return adapted
