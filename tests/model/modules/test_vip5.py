import pytest
import torch
from torch import nn
from transformers import T5Config
from transformers.models.t5.modeling_t5 import T5Attention, T5Block

from model.modules.adapters import SideAdapter
from model.modules.vip5 import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    HeadedAttention,
    Layout,
    LoneAttention,
    PromptedUserEncoder,
    RelativeBias,
    SelfAttention,
    Sublayer,
    relative_buckets,
)

WIDTH, HEADS, TOKENS = 8, 2, 3


def _sublayer(part: nn.Module) -> Sublayer:
    return Sublayer(part, SideAdapter(WIDTH, 4, nn.ReLU()), WIDTH, 0.1)


@pytest.fixture
def encoder() -> PromptedUserEncoder:
    torch.manual_seed(0)
    encoder = [EncoderBlock(_sublayer(SelfAttention(WIDTH, HEADS)), _sublayer(FeedForward(WIDTH))) for _ in range(2)]
    decoder = [
        DecoderBlock(
            _sublayer(LoneAttention(WIDTH)), _sublayer(HeadedAttention(WIDTH, HEADS)), _sublayer(FeedForward(WIDTH))
        )
        for _ in range(2)
    ]
    return PromptedUserEncoder(encoder, decoder, layout=Layout(TOKENS, 2, WIDTH, HEADS), dropout=0.1).eval()


def _sequences(users: int, items: int) -> torch.Tensor:
    return torch.randn(users, items, TOKENS * WIDTH)


def test_last_is_the_last_of_all_positions(encoder: PromptedUserEncoder) -> None:
    sequences, lengths = _sequences(3, 6), torch.tensor([6, 1, 4])
    torch.testing.assert_close(encoder.last(sequences, lengths), encoder(sequences, lengths)[:, -1])


def test_every_position_is_what_its_prefix_alone_gives(encoder: PromptedUserEncoder) -> None:
    sequences = _sequences(2, 6)
    encoded = encoder(sequences, torch.tensor([6, 6]))
    for stop in range(1, 7):
        alone = encoder.last(sequences[:, :stop], torch.tensor([stop, stop]))
        torch.testing.assert_close(encoded[:, stop - 1], alone)


def test_padding_and_its_amount_do_not_matter(encoder: PromptedUserEncoder) -> None:
    history = _sequences(1, 3)
    padded = torch.cat([100 * _sequences(1, 3), history], dim=1)
    lengths = torch.tensor([3])
    torch.testing.assert_close(encoder.last(padded, lengths), encoder.last(history, lengths))


def test_order_matters_and_every_token_has_the_same_vector(encoder: PromptedUserEncoder) -> None:
    history, lengths = _sequences(1, 4), torch.tensor([4])
    users = encoder.last(history, lengths)
    assert (users - encoder.last(history[:, [1, 0, 2, 3]], lengths)).abs().max() > 1e-3
    torch.testing.assert_close(users[:, :WIDTH], users[:, WIDTH : 2 * WIDTH])


def test_attention_and_feed_forward_are_frozen_and_the_rest_trains(encoder: PromptedUserEncoder) -> None:
    encoder(_sequences(2, 3), torch.tensor([3, 2])).square().sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in encoder.named_parameters():
        assert parameter.requires_grad == (".part." not in name), name
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_buckets_are_those_of_t5() -> None:
    distances = torch.arange(-300, 301)
    expected = T5Attention._relative_position_bucket(distances, bidirectional=True, num_buckets=32, max_distance=128)
    torch.testing.assert_close(relative_buckets(distances), expected)


def test_a_block_is_that_of_transformers() -> None:
    """The same weights and no adapters: self-attention, its position bias and feed-forward of `T5Block`."""
    torch.manual_seed(0)
    config = T5Config(d_model=WIDTH, d_kv=WIDTH // HEADS, d_ff=4 * WIDTH, num_heads=HEADS, dropout_rate=0.0)
    theirs = T5Block(config, has_relative_attention_bias=True, layer_idx=0).eval()
    attention, feed_forward, bias = SelfAttention(WIDTH, HEADS), FeedForward(WIDTH), RelativeBias(HEADS)
    other = theirs.layer[0].SelfAttention
    for ours, same in (
        (attention.query, other.q),
        (attention.key, other.k),
        (attention.value, other.v),
        (attention.output, other.o),
        (feed_forward.inner, theirs.layer[1].DenseReluDense.wi),
        (feed_forward.outer, theirs.layer[1].DenseReluDense.wo),
        (bias.placed, other.relative_attention_bias),
    ):
        ours.load_state_dict(same.state_dict())
    parts = [Sublayer(part, nn.Identity(), WIDTH, 0.0) for part in (attention, feed_forward)]
    states, place = torch.randn(2, 7, WIDTH), torch.arange(7)
    found = EncoderBlock(*parts).eval()(states, bias(place, place))
    torch.testing.assert_close(found, theirs(states)[0])
