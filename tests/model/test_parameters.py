from torch import nn

from model.parameters import trainable_parameters


class Network(nn.Module):
    """An encoder of 3 x 2 weights and 2 biases, a head of 2 x 5, and a user encoder of 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Module()
        self.tower.encoders = nn.ModuleList([nn.Linear(3, 2)])
        self.tower.head = nn.Linear(2, 5, bias=False)
        self.user_encoder = nn.Linear(4, 4, bias=False)


def test_parameters_are_counted_by_part() -> None:
    assert trainable_parameters(Network()) == {"encoders": 8, "tower": 10, "user_encoder": 16}


def test_what_does_not_train_is_not_counted() -> None:
    network = Network()
    network.tower.encoders[0].weight.requires_grad_(False)
    network.user_encoder.requires_grad_(False)
    assert trainable_parameters(network) == {"encoders": 2, "tower": 10, "user_encoder": 0}
