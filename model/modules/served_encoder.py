"""The user encoder as ONNX Runtime runs it fastest on a CPU: the same vectors from fewer and cheaper operators."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.modules.attention import Attention
from model.modules.user_encoder import Block, UserEncoder

HIDDEN = -1e9
"""Added to the logit of padding, whose share is nothing then."""


class _ServedAttention(nn.Module):
    """Attention of each position to itself and earlier ones, as one operator that splits the heads by itself."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.heads = attention.heads
        self.query, self.output = attention.query, attention.output
        (key, value), (key_bias, value_bias) = attention.key_value.weight.chunk(2), attention.key_value.bias.chunk(2)
        self.key, self.value = _linear(key, key_bias), _linear(value, value_bias)

    def forward(self, sequence: Tensor) -> Tensor:
        """Takes and returns [b, s, d]."""
        asked = self.query(sequence), self.key(sequence), self.value(sequence)
        mixed, *_ = torch.onnx.ops.attention(*asked, is_causal=True, q_num_heads=self.heads, kv_num_heads=self.heads)
        attended: Tensor = self.output(mixed)
        return attended


class _LastAttention(nn.Module):
    """Attention of the last position alone, which forms neither keys nor values.

    For each head, q · (K x + k) = (Kᵀ q) · x + q · k, where q · k is the same for all x and drops out of the softmax;
    and O Σ p (V x + v) = O V (Σ p x) + O v, since the shares p sum to one. Kᵀ Q and O V are matrices of their own.
    """

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        width, heads = attention.query.in_features, attention.heads
        each = width // heads
        query, query_bias = attention.query.weight.view(heads, each, width), attention.query.bias.view(heads, each)
        key, value = attention.key_value.weight.view(2, heads, each, width)
        output = attention.output.weight.view(width, heads, each)
        self.heads = heads
        self.query = _linear(
            torch.einsum("hei,hej->hji", query, key).flatten(0, 1) * each**-0.5,
            torch.einsum("he,hej->hj", query_bias, key).flatten() * each**-0.5,
        )
        self.output = _linear(
            torch.einsum("ohe,hei->ohi", output, value).flatten(1),
            attention.output(attention.key_value.bias[width:]),
        )

    def forward(self, last: Tensor, sequence: Tensor, bias: Tensor) -> Tensor:
        """Takes last positions [b, d], sequences [b, s, d] and what is added to logits, [b, 1, s]; returns [b, d]."""
        asked = self.query(last).unflatten(1, (self.heads, -1))
        shares = (asked @ sequence.transpose(1, 2) + bias).softmax(dim=-1)
        attended: Tensor = self.output((shares @ sequence).flatten(1))
        return attended


class ServedUserEncoder(nn.Module):
    """What `UserEncoder.last` computes, and nothing else."""

    def __init__(self, encoder: UserEncoder) -> None:
        """Takes over what an encoder has learned, without changing it."""
        super().__init__()
        blocks = [cast(Block, block) for block in encoder.blocks]
        self.positions, self.norm = encoder.positions, encoder.norm
        self.norms = nn.ModuleList(block.attention_norm for block in blocks)
        self.attentions = nn.ModuleList(_ServedAttention(block.attention) for block in blocks[:-1])
        self.attentions.append(_LastAttention(blocks[-1].attention))
        self.feed_forwards = nn.ModuleList(block.feed_forward for block in blocks)

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes whole sequences [b, s, d], padded on the left, of lengths [b] to [b, d]."""
        users, count, _ = sequences.shape
        states = sequences + self.positions[len(self.positions) - count :]
        place, first = torch.arange(count), torch.arange(users)[:, None] * count
        # Padding moves to the right: no position sees it there, so nothing depends on how much of it there is.
        states = _rows(states, first + (place + count - lengths[:, None]).clamp(max=count - 1))
        padding = torch.where(place < lengths[:, None], 0.0, HIDDEN)[:, None]
        newest = first[:, 0] + lengths - 1
        *early, last = zip(self.norms, self.attentions, self.feed_forwards, strict=True)
        for norm, attention, feed_forward in early:
            states = states + attention(norm(states))
            states = states + feed_forward(states)
        norm, attention, feed_forward = last
        normed = norm(states)
        encoded = _rows(states, newest) + attention(_rows(normed, newest), normed, padding)
        encoded = self.norm(encoded + feed_forward(encoded))
        return cast(Tensor, encoded)


def _rows(states: Tensor, rows: Tensor) -> Tensor:
    """Returns rows [...] of states [b, s, d], counted through all users, as [..., d]."""
    return functional.embedding(rows, states.flatten(0, 1))


@torch.no_grad()
def for_serving(network: nn.Module) -> nn.Module:
    """Returns a copy of a user encoder, in which each `UserEncoder` is as it is served."""
    if isinstance(network, UserEncoder):
        return ServedUserEncoder(copy.deepcopy(network))
    served = copy.deepcopy(network)
    for name, part in network.named_children():
        setattr(served, name, for_serving(part))
    return served


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Returns the map with this weight [n, k] and bias [n]."""
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight, linear.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return linear
