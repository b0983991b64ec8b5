import pytest
import torch

from model.config import UserEncoderConfig
from model.modules.user_encoder import UserEncoder


@pytest.fixture
def encoder() -> UserEncoder:
    torch.manual_seed(0)
    encoder = UserEncoder(UserEncoderConfig(max_length=6, blocks=2, heads=2), width=8).eval()
    torch.nn.init.normal_(encoder.positions)
    return encoder


def test_last_is_the_last_of_all_positions(encoder: UserEncoder) -> None:
    sequences, lengths = torch.randn(3, 6, 8), torch.tensor([6, 1, 4])
    torch.testing.assert_close(encoder.last(sequences, lengths), encoder(sequences, lengths)[:, -1])


def test_the_future_is_not_seen(encoder: UserEncoder) -> None:
    sequences, lengths = torch.randn(1, 6, 8), torch.tensor([6])
    changed = sequences.clone()
    changed[0, 4:] = torch.randn(2, 8)
    before, after = encoder(sequences, lengths), encoder(changed, lengths)
    torch.testing.assert_close(before[0, :4], after[0, :4])
    assert (before[0, 4:] - after[0, 4:]).abs().max() > 0.01


def test_padding_and_its_amount_do_not_matter(encoder: UserEncoder) -> None:
    """A short history gives the same vector with no padding, and with padding of any content."""
    history = torch.randn(1, 3, 8)
    padded = torch.cat([100 * torch.randn(1, 3, 8), history], dim=1)
    lengths = torch.tensor([3])
    torch.testing.assert_close(encoder.last(padded, lengths), encoder.last(history, lengths))


def test_order_matters(encoder: UserEncoder) -> None:
    history = torch.randn(1, 4, 8)
    swapped = history[:, [1, 0, 2, 3]]
    lengths = torch.tensor([4])
    assert (encoder.last(history, lengths) - encoder.last(swapped, lengths)).abs().max() > 1e-3
