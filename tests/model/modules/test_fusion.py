import math

import pytest
import torch
from torch import nn

from model.modules.fusion import ModalityDropout, ModalityExpertFusion


def _fusion(modalities: int, width: int, item_width: int) -> ModalityExpertFusion:
    torch.manual_seed(0)
    experts = [
        nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, item_width)) for _ in range(modalities)
    ]
    return ModalityExpertFusion(experts, nn.Linear(modalities * width, modalities), item_width)


def test_fusion_is_the_equation_over_the_present() -> None:
    """PAPER section 5, item by item and modality by modality."""
    fusion = _fusion(3, 4, 5)
    present = torch.tensor([[True, True, True], [True, False, True], [False, False, True]])
    adapted = torch.randn(3, 3, 4) * present[..., None]
    vectors, shares = fusion(adapted, present)
    for item in range(3):
        there = [k for k in range(3) if present[item, k]]
        logits = fusion.gate(adapted[item].reshape(-1)).tolist()
        total = sum(math.exp(logits[k]) for k in there)
        pi = {k: math.exp(logits[k]) / total for k in there}
        mixed = sum(pi[k] * fusion.experts[k](adapted[item, k]) for k in there)
        torch.testing.assert_close(vectors[item], fusion.norm(mixed), atol=1e-5, rtol=1e-5)
        assert shares[item].tolist() == pytest.approx([pi.get(k, 0.0) for k in range(3)], abs=1e-6)


def test_an_item_with_nothing_is_finite() -> None:
    vectors, shares = _fusion(2, 4, 5)(torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.bool))
    assert torch.isfinite(vectors).all()
    assert shares.tolist() == [[0.0, 0.0]]


def test_modality_dropout_hides_but_never_all() -> None:
    torch.manual_seed(0)
    drop = ModalityDropout(0.5)
    present = torch.tensor([[True, True, False]]).repeat(4000, 1)
    kept = drop(present)
    assert kept.any(dim=1).all()
    assert not (kept & ~present).any()
    # Kept when not drawn (1/2) or when both were drawn (1/4): 3/4, standard error 0.007.
    assert float(kept[:, 0].float().mean()) == pytest.approx(0.75, abs=0.03)
    assert torch.equal(drop.eval()(present), present)
