import pytest
import torch

from model.config import UserEncoderConfig
from model.modules.interest_groups import GroupedUserEncoder
from model.modules.score import UnitUserEncoder
from model.modules.served_encoder import ServedUserEncoder, for_serving
from model.modules.user_encoder import UserEncoder


@pytest.fixture(params=[(1, 1), (2, 2), (3, 4)], ids="{0[0]} blocks, {0[1]} heads".format)
def encoder(request: pytest.FixtureRequest) -> UserEncoder:
    """Weights, biases and norms are all random: what is left out shows."""
    torch.manual_seed(0)
    blocks, heads = request.param
    encoder = UserEncoder(UserEncoderConfig(max_length=6, blocks=blocks, heads=heads), width=8).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return encoder


@pytest.mark.parametrize("count", [1, 4, 6])
@torch.no_grad()
def test_the_vectors_stay_the_same(encoder: UserEncoder, count: int) -> None:
    """Every length, with padding of any size; float64, so that only a wrong formula can differ."""
    encoder = encoder.double()
    sequences, lengths = torch.randn(count, count, 8, dtype=torch.float64), torch.arange(1, count + 1)
    served = for_serving(encoder)
    assert isinstance(served, ServedUserEncoder)
    expected = encoder.last(sequences, lengths)
    torch.testing.assert_close(served.last(sequences, lengths), expected)
    assert count == 1 or (expected[1:] - expected[0]).abs().max() > 0.1


@torch.no_grad()
def test_an_encoder_inside_others_is_found_and_the_given_one_left_alone(encoder: UserEncoder) -> None:
    outer = UnitUserEncoder(GroupedUserEncoder(encoder, groups=2))
    before = {name: tensor.clone() for name, tensor in outer.state_dict().items()}
    sequences, lengths = torch.randn(3, 6, 18), torch.tensor([1, 4, 6])
    served = for_serving(outer)
    torch.testing.assert_close(served.last(sequences, lengths), outer.last(sequences, lengths))
    assert [type(one) for one in served.modules()].count(ServedUserEncoder) == 1
    assert outer.encoder.encoder is encoder
    torch.testing.assert_close(outer.state_dict(), before, rtol=0, atol=0)
