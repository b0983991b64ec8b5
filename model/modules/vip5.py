"""The stack of VIP5 (PAPER section 8): T5 blocks that stay frozen, with small adapters in them that train.

Written as in T5 (Raffel et al. 2020): RMS norms before every part, no biases, no scaling of the attention logits, a
learned bias for each head and bucket of relative positions that all blocks share, ReLU between the two linear maps.
`transformers` has the same parts, but builds its masks from one row of padding per sequence; what is needed here is a
mask per pair of tokens, and a graph that can be exported for any length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.modules.dropout import Dropout

BUCKETS = 32
FARTHEST = 128
FEED_FORWARD = 4
EPSILON = 1e-6


@dataclass(frozen=True)
class Layout:
    """How a prompt is laid out: `tokens` of an item, `prompt_tokens` before them, all of `width`, and the `heads`."""

    tokens: int
    prompt_tokens: int
    width: int
    heads: int


def relative_buckets(distances: Tensor) -> Tensor:
    """Returns T5's bidirectional bucket of each distance (place of the key less place of the query), int64.

    Half of the buckets is for keys after the query. Of each half, one half is for one distance each, and the other for
    distances up to 128, logarithmically; the last is for all beyond.
    """
    half, exact = BUCKETS // 2, BUCKETS // 4
    far = distances.abs()
    logarithm = torch.log(far.clamp(min=1).double() / exact) / math.log(FARTHEST / exact) * (half - exact)
    beyond = (exact + logarithm.long()).clamp(max=half - 1)
    return torch.where(far < exact, far, beyond) + half * (distances > 0)


class RelativeBias(nn.Module):
    """What is added to attention logits for the relative position of two tokens, and for keys that have no place."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.placed = nn.Embedding(BUCKETS, heads)
        self.prompt = nn.Parameter(torch.zeros(heads))
        self.buckets: Tensor
        # Of distances -FARTHEST ... FARTHEST: looked up, so that rounding of logarithms is the same everywhere.
        self.register_buffer("buckets", relative_buckets(torch.arange(-FARTHEST, FARTHEST + 1)), persistent=False)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Takes the places of q queries and k keys, int64 [q] and [k]; returns [1, heads, q, k]."""
        distances = (keys[None, :] - queries[:, None]).clamp(-FARTHEST, FARTHEST)
        bias: Tensor = self.placed(self.buckets[distances + FARTHEST]).permute(2, 0, 1)[None]
        return bias

    def of_prompt(self, queries: int, keys: int) -> Tensor:
        """Returns the bias of keys that are prompt, wherever the query is: [1, heads, q, k]."""
        return self.prompt[None, :, None, None].expand(1, self.heads, queries, keys)


class HeadedAttention(nn.Module):
    """T5's attention: four maps without biases; its logits are not scaled."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        # T5's initialisation: the product of query and key has variance one per head.
        nn.init.normal_(self.query.weight, std=(width * (width // heads)) ** -0.5)
        for linear in (self.key, self.value, self.output):
            nn.init.normal_(linear.weight, std=width**-0.5)

    def forward(self, queries: Tensor, sequence: Tensor, bias: Tensor) -> Tensor:
        """Attends from [b, q, d] to [b, k, d] with what is added to the logits, [b, heads, q, k]; returns [b, q, d]."""
        query, key, value = self.query(queries), self.key(sequence), self.value(sequence)
        logits = self._split(query) @ self._split(key).transpose(-1, -2) + bias
        mixed = logits.softmax(dim=-1) @ self._split(value)
        joined: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return joined

    def _split(self, states: Tensor) -> Tensor:
        """Turns [b, k, d] into [b, heads, k, d / heads]."""
        return states.reshape(*states.shape[:2], self.heads, -1).transpose(1, 2)


class SelfAttention(HeadedAttention):
    """Attention of all tokens to each other."""

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:  # type: ignore[override]
        """Takes states [b, k, d] and what is added to the logits, [b, heads, k, k]; returns [b, k, d]."""
        return super().forward(states, states, bias)


class FeedForward(nn.Module):
    """Two maps without biases and ReLU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = FEED_FORWARD * width
        self.inner = nn.Linear(width, inner, bias=False)
        self.outer = nn.Linear(inner, width, bias=False)
        nn.init.normal_(self.inner.weight, std=width**-0.5)
        nn.init.normal_(self.outer.weight, std=inner**-0.5)

    def forward(self, states: Tensor) -> Tensor:
        """Takes and returns [b, q, d]."""
        mixed: Tensor = self.outer(functional.relu(self.inner(states)))
        return mixed


class Sublayer(nn.Module):
    """x + dropout(adapter(part(norm(x), …))): the part is frozen; norm and adapter (Houlsby et al. 2019) train."""

    def __init__(self, part: nn.Module, adapter: nn.Module, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=EPSILON)
        self.part = part.requires_grad_(False)
        self.adapter = adapter
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, *context: Tensor) -> Tensor:
        """Takes states [b, q, d] and what the part reads besides; returns [b, q, d]."""
        mixed: Tensor = states + self.dropout(self.adapter(self.part(self.norm(states), *context)))
        return mixed


class LoneAttention(nn.Module):
    """Attention of a token to itself alone, its only key having all the weight: value and output map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        for linear in (self.value, self.output):
            nn.init.normal_(linear.weight, std=width**-0.5)

    def forward(self, states: Tensor) -> Tensor:
        """Takes and returns [b, q, d]."""
        mixed: Tensor = self.output(self.value(states))
        return mixed


class EncoderBlock(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, attention: Sublayer, feed_forward: Sublayer) -> None:
        super().__init__()
        self.attention = attention
        self.feed_forward = feed_forward

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        """Takes tokens [b, k, d] and what is added to the logits, [b, heads, k, k]; returns [b, k, d]."""
        encoded: Tensor = self.feed_forward(self.attention(states, bias))
        return encoded


class DecoderBlock(nn.Module):
    """A start token's attention to itself and to what was encoded, and feed-forward."""

    def __init__(self, itself: Sublayer, attention: Sublayer, feed_forward: Sublayer) -> None:
        super().__init__()
        self.itself = itself
        self.attention = attention
        self.feed_forward = feed_forward

    def forward(self, starts: Tensor, encoded: Tensor, bias: Tensor) -> Tensor:
        """Takes starts [b, q, d], encoded tokens [b, k, d] and the bias [b, heads, q, k]; returns [b, q, d]."""
        decoded: Tensor = self.feed_forward(self.attention(self.itself(starts), encoded, bias))
        return decoded


class PromptedUserEncoder(nn.Module):
    """Encodes "user has {item tokens …}: next?" and decodes one start token to the user vector.

    An item vector [b, s, t·d] is the item's t tokens, which stand one after the other in the prompt behind learned
    prompt tokens. A token sees the prompt and the tokens of its own and of earlier items, so that what is encoded for
    a history is also what is encoded for its beginnings: `forward` decodes a start token for each of them, which sees
    no later item and no other start token. Where T5 has no position bias in its cross-attention, this has one: the
    tokens of a causal encoder do not know which is the last. The user vector stands once for each token of an item,
    so that the score of an item is that of the sum of its tokens: input and output tokens are tied.
    """

    def __init__(
        self, blocks: Sequence[EncoderBlock], decoder: Sequence[DecoderBlock], *, layout: Layout, dropout: float
    ) -> None:
        super().__init__()
        self.tokens = layout.tokens
        self.prompt = nn.Parameter(torch.randn(layout.prompt_tokens, layout.width))
        self.start = nn.Parameter(torch.randn(layout.width))
        self.encoder_bias = RelativeBias(layout.heads)
        self.decoder_bias = RelativeBias(layout.heads)
        self.blocks = nn.ModuleList(blocks)
        self.decoder = nn.ModuleList(decoder)
        self.dropout = Dropout(dropout)
        self.encoder_norm = nn.RMSNorm(layout.width, eps=EPSILON)
        self.decoder_norm = nn.RMSNorm(layout.width, eps=EPSILON)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes every prefix: sequences [b, s, w] padded on the left, lengths [b]; returns [b, s, w]."""
        return self._decode(self._encode(sequences, lengths), lengths, starts=sequences.shape[1])

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes whole sequences [b, s, w] to [b, w]."""
        return self._decode(self._encode(sequences, lengths), lengths, starts=1)[:, 0]

    def _encode(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Returns the encoded prompt and item tokens, [b, p + s·t, d]."""
        users, items, _ = sequences.shape
        prompts = self.prompt.expand(users, -1, -1)
        states = self.dropout(torch.cat([prompts, sequences.reshape(users, items * self.tokens, -1)], dim=1))
        place = torch.arange(items * self.tokens, device=sequences.device)
        asking = torch.cat([place.new_full((self.prompt.shape[0],), -1), place])
        bias = self._bias(self.encoder_bias, asking, lengths, items)
        for block in self.blocks:
            states = block(states, bias)
        encoded: Tensor = self.encoder_norm(states)
        return encoded

    def _decode(self, encoded: Tensor, lengths: Tensor, *, starts: int) -> Tensor:
        """Returns the user vectors after each of the last `starts` items, [b, starts, w]."""
        items = (encoded.shape[1] - self.prompt.shape[0]) // self.tokens
        after = torch.arange(items, device=encoded.device)[items - starts :]
        bias = self._bias(self.decoder_bias, after * self.tokens + self.tokens - 1, lengths, items)
        states = self.dropout(self.start.expand(encoded.shape[0], starts, -1))
        for block in self.decoder:
            states = block(states, encoded, bias)
        decoded: Tensor = self.decoder_norm(states).repeat(1, 1, self.tokens)
        return decoded

    def _bias(self, relative: RelativeBias, asking: Tensor, lengths: Tensor, items: int) -> Tensor:
        """Returns what is added to the logits, -inf where a token is not seen.

        Args:
            relative: the bias of what is seen.
            asking: places of q queries among the item tokens, int64 [q]; -1 for those before all items.
            lengths: int64 [b].
            items: s.

        Returns:
            [b, heads, q, p + s·t].
        """
        place = torch.arange(items * self.tokens, device=asking.device)
        item, own = place // self.tokens, torch.div(asking, self.tokens, rounding_mode="floor")
        real = item[None, :] >= items - lengths[:, None]
        seen = (item[None, :] <= own[:, None]) & real[:, None, :]
        placed = torch.where(seen[:, None], relative(asking, place), -torch.inf)
        prompts = relative.of_prompt(len(asking), self.prompt.shape[0]).expand(len(lengths), -1, -1, -1)
        return torch.cat([prompts, placed], dim=-1)
