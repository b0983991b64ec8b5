import pytest
import torch
from torch import nn

from model.config import parse_config
from model.methods.fusions import build_fusion
from model.modules.fusion import ConcatFusion, GatedFusion, MeanFusion, ModalityExpertFusion, TopOne


def _built(name: str) -> nn.Module:
    tower = parse_config("crossan", {"fusion": name, "side_width": 6, "item_width": 4}).tower
    return build_fusion(tower, 3, expert=lambda: nn.Linear(6, 4))


@pytest.mark.parametrize(
    ("name", "kind", "weights"),
    [
        # Three experts 6 → 4, and a gate 18 → 3.
        ("experts", ModalityExpertFusion, 3 * 6 * 4 + 18 * 3),
        ("top1", ModalityExpertFusion, 3 * 6 * 4 + 18 * 3),
        ("gated", GatedFusion, 6 * 4 + 18 * 3),
        ("mean", MeanFusion, 6 * 4),
        ("concat", ConcatFusion, 18 * 4),
    ],
)
def test_fusions_by_name(name: str, kind: type[nn.Module], weights: int) -> None:
    fusion = _built(name)
    assert isinstance(fusion, kind)
    assert sum(one.numel() for one in fusion.parameters() if one.ndim > 1) == weights
    vectors, shares = fusion(torch.randn(5, 3, 6), torch.ones(5, 3, dtype=torch.bool))
    assert vectors.shape == (5, 4)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(5))


def test_top1_picks_and_the_mixture_does_not() -> None:
    assert any(isinstance(one, TopOne) for one in _built("top1").modules())
    assert not any(isinstance(one, TopOne) for one in _built("experts").modules())
