import torch

from model.config import UserEncoderConfig
from model.methods.id_only import NumberTower
from model.modules.recommender import Recommender
from model.modules.user_encoder import UserEncoder


def test_sequences_are_read_through_the_item_vectors() -> None:
    torch.manual_seed(0)
    encoder = UserEncoder(UserEncoderConfig(max_length=4), width=8)
    network = Recommender(NumberTower(10, 8), encoder).eval()
    sequences, lengths = torch.tensor([[-1, 0, 2], [1, 1, 0]]), torch.tensor([2, 3])
    vectors, users = network((torch.tensor([7, 3, 5]),), sequences, lengths)
    assert vectors.shape == (3, 8)
    alone = encoder(vectors[torch.tensor([[0, 2]])], torch.tensor([2]))
    torch.testing.assert_close(users[0, 1:], alone[0])
