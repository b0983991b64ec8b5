import pytest
import torch
from torch import Tensor, nn

from model.modules.fusion import MeanFusion, ModalityDropout
from model.modules.projection import DimensionTransformation
from model.modules.state_tower import LastStates, ResidualTower, StateTower


def _content() -> StateTower:
    torch.manual_seed(0)
    reader = LastStates([DimensionTransformation(width, 4, 1, 0.0) for width in (3, 5)], nn.GELU())
    return StateTower(ModalityDropout(0.0), reader, MeanFusion(nn.Linear(4, 8)))


def _inputs(count: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.ones(count, 2, dtype=torch.bool), torch.randn(count, 1, 3), torch.randn(count, 1, 5)


def test_last_states_are_zero_where_absent() -> None:
    reader = _content().reader
    _, text, image = _inputs(2)
    read = reader(torch.tensor([[True, False], [False, True]]), (text, image))
    torch.testing.assert_close(read[0, 0], nn.functional.gelu(reader.projections[0](text)[0, 0]))
    torch.testing.assert_close(read[1, 1], nn.functional.gelu(reader.projections[1](image)[0, 1]))
    assert read[0, 1].abs().sum() == read[1, 0].abs().sum() == 0


def test_what_modality_dropout_hides_is_hidden_from_reader_and_fusion() -> None:
    class HideText(nn.Module):
        def forward(self, present: Tensor) -> Tensor:
            return present & torch.tensor([False, True])

    tower, (present, text, image) = _content(), _inputs(3)
    tower.modality_dropout = HideText()
    vectors, shares = tower(present, text, image)
    without, _ = tower(present, 100 * text, image)
    torch.testing.assert_close(vectors, without)
    assert shares.tolist() == [[0, 1]] * 3


def _residual_tower(dropout: float) -> ResidualTower:
    tower = ResidualTower(_content(), 2000, 8, min_events=1, dropout=dropout)
    tower.count(torch.ones(2000, dtype=torch.int64))
    nn.init.ones_(tower.residuals.weight)
    return tower


@torch.no_grad()
def test_residual_is_dropped_for_whole_items_in_training_only() -> None:
    tower, inputs = _residual_tower(0.25), _inputs(2000)
    content, _ = tower.content(*inputs)
    added = tower(torch.arange(2000), *inputs)[0] - content
    assert set(added.round(decimals=3).unique().tolist()) == {0.0, 1.0}
    assert (added.std(dim=1) < 1e-5).all()
    # Standard error of the kept share: sqrt(0.25 · 0.75 / 2000) = 0.01.
    assert float(added.mean()) == pytest.approx(0.75, abs=0.04)
    torch.testing.assert_close(tower.eval()(torch.arange(2000), *inputs)[0] - content, torch.ones(2000, 8))


def test_items_without_enough_events_get_no_gradient() -> None:
    tower = _residual_tower(0.0)
    tower.count(torch.tensor([5, 0]).repeat(1000))
    vectors, _ = tower(torch.tensor([0, 1]), *_inputs(2))
    torch.autograd.backward(vectors.sum())
    gradient = tower.residuals.weight.grad
    assert gradient is not None
    assert gradient[0].tolist() == [1.0] * 8
    assert gradient[1].tolist() == [0.0] * 8
