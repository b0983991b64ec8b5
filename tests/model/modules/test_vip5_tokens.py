import torch
from torch import nn

from model.modules.state_tower import StateTower
from model.modules.vip5_tokens import MediaTokens, NoMedia, TokenFusion, TokenTower

WIDTH, TOKENS = 4, 2


class _Scale(nn.Module):
    """A map [n, 1, t·d] to [1, n, t·d] whose result is written down easily."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return states.transpose(0, 1) * self.factor


def _content() -> StateTower:
    return StateTower(nn.Identity(), MediaTokens([_Scale(2.0), _Scale(-6.0)]), TokenFusion(WIDTH))


def test_media_tokens_are_the_mean_over_what_is_present() -> None:
    states = torch.ones(3, 1, TOKENS * WIDTH)
    present = torch.tensor([[True, True], [True, False], [False, False]])
    vectors, shares = _content()(present, states, states)
    # (2 - 6) / 2 = -2, 2 alone, nothing; sizes 2 : 6, so a quarter and three.
    expected = torch.tensor([-2.0, 2.0, 0.0])[:, None].expand(-1, TOKENS * WIDTH)
    torch.testing.assert_close(vectors[:, WIDTH:], expected)
    assert (vectors[:, :WIDTH] == 0).all()
    torch.testing.assert_close(shares, torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.0, 0.0]]))


def test_an_item_without_events_has_no_id_token() -> None:
    tower = TokenTower(_content(), item_count=3, width=WIDTH)
    tower.count(torch.tensor([5, 0, 1]))
    states, present = torch.randn(2, 1, TOKENS * WIDTH), torch.ones(2, 2, dtype=torch.bool)
    vectors, _ = tower(torch.tensor([2, 1]), present, states, states)
    content, _ = tower.content(present, states, states)
    torch.testing.assert_close(vectors[1], content[1])
    torch.testing.assert_close(vectors[0, :WIDTH], tower.ids.weight[2])
    torch.testing.assert_close(vectors[0, WIDTH:], content[0, WIDTH:])


def test_without_media_an_item_is_its_id_alone() -> None:
    tower = TokenTower(NoMedia(WIDTH), item_count=3, width=WIDTH)
    tower.count(torch.tensor([5, 0, 1]))
    vectors, shares = tower(torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.bool), torch.randn(2, 1, 9))
    torch.testing.assert_close(vectors, torch.stack([tower.ids.weight[0], torch.zeros(WIDTH)]))
    assert shares.shape == (2, 2)
