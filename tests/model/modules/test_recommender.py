import pytest
import torch

from model.config import UserEncoderConfig
from model.methods.id_only import NumberTower
from model.modules import recommender
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


@pytest.mark.parametrize("rows", [1, 2])
def test_sequences_encoded_in_parts_are_those_encoded_together(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same vectors where there is no padding, and the same gradients."""
    sequences = torch.tensor([[-1, -1, 0], [-1, -1, 2], [-1, 1, 1], [0, 2, 1], [2, 1, 0]])
    lengths = (sequences >= 0).sum(dim=1)
    found = []
    for at_once in (rows, len(sequences)):
        monkeypatch.setattr(recommender, "ROWS_AT_ONCE", {"cpu": at_once})
        torch.manual_seed(0)
        network = Recommender(NumberTower(3, 8), UserEncoder(UserEncoderConfig(max_length=4), width=8)).eval()
        _, users = network((torch.arange(3),), sequences, lengths)
        real = users[sequences >= 0]
        real.square().sum().backward()
        found.append([real, *(one.grad for one in network.parameters())])
    for part, whole in zip(*found, strict=True):
        torch.testing.assert_close(part, whole)
