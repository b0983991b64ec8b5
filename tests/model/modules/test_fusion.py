import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from model.modules.fusion import (
    ConcatFusion,
    GatedFusion,
    MeanFusion,
    ModalityDropout,
    ModalityExpertFusion,
    TopOne,
    even_shares,
)

MODALITIES, WIDTH, ITEM_WIDTH = 3, 4, 5
PRESENT = torch.tensor([[bool(mask >> k & 1) for k in range(MODALITIES)] for mask in range(1, 8)])
"""Every mix of modalities."""


def _experts(pick: nn.Module) -> ModalityExpertFusion:
    experts = [
        nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, ITEM_WIDTH)) for _ in range(MODALITIES)
    ]
    return ModalityExpertFusion(experts, _gate(), ITEM_WIDTH, pick)


def _gate() -> nn.Linear:
    return nn.Linear(MODALITIES * WIDTH, MODALITIES)


FUSIONS: dict[str, Callable[[], nn.Module]] = {
    "experts": lambda: _experts(nn.Identity()),
    "top1": lambda: _experts(TopOne()),
    "gated": lambda: GatedFusion(_gate(), nn.Linear(WIDTH, ITEM_WIDTH)),
    "mean": lambda: MeanFusion(nn.Linear(WIDTH, ITEM_WIDTH)),
    "concat": lambda: ConcatFusion(nn.Linear(MODALITIES * WIDTH, ITEM_WIDTH)),
}


def _pi(fusion: nn.Module, z: Tensor, there: list[int]) -> dict[int, float]:
    logits = fusion.gate(z.reshape(-1)).tolist()
    total = sum(math.exp(logits[k]) for k in there)
    return {k: math.exp(logits[k]) / total for k in there}


def _reference(name: str, fusion: nn.Module, z: Tensor, there: list[int]) -> tuple[Tensor, dict[int, float]]:
    """PAPER section 5 for one item: z [m, d] to what is normalised, and the shares of the present."""
    even = {k: 1 / len(there) for k in there}
    if name == "concat":
        return fusion.output(torch.cat([z[k] if k in there else torch.zeros(WIDTH) for k in range(MODALITIES)])), even
    if name == "mean":
        return fusion.output(sum(z[k] / len(there) for k in there)), even
    pi = _pi(fusion, z, there)
    if name == "gated":
        return fusion.output(sum(pi[k] * z[k] for k in there)), pi
    if name == "top1":
        best = max(there, key=lambda k: pi[k])
        return fusion.experts[best](z[best]), {best: 1.0}
    return sum(pi[k] * fusion.experts[k](z[k]) for k in there), pi


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", FUSIONS)
@torch.no_grad()
def test_fusion_is_the_equation_over_the_present(name: str, training: bool) -> None:
    torch.manual_seed(0)
    fusion = FUSIONS[name]().train(training)
    adapted = torch.randn(len(PRESENT), MODALITIES, WIDTH) * PRESENT[..., None]
    vectors, shares = fusion(adapted, PRESENT)
    for item in range(len(PRESENT)):
        there = [k for k in range(MODALITIES) if PRESENT[item, k]]
        mixed, pi = _reference(name, fusion, adapted[item], there)
        torch.testing.assert_close(vectors[item], fusion.norm(mixed), atol=1e-5, rtol=1e-5)
        assert shares[item].tolist() == pytest.approx([pi.get(k, 0.0) for k in range(MODALITIES)], abs=1e-6)


@pytest.mark.parametrize("name", FUSIONS)
def test_an_item_with_nothing_is_finite(name: str) -> None:
    nothing = torch.zeros(1, MODALITIES, dtype=torch.bool)
    for fusion in (FUSIONS[name](), FUSIONS[name]().eval()):
        vectors, shares = fusion(torch.zeros(1, MODALITIES, WIDTH), nothing)
        assert torch.isfinite(vectors).all()
        assert shares.tolist() == [[0.0] * MODALITIES]


def test_the_gate_learns_although_one_expert_is_picked() -> None:
    """The gradient is that of the mixture: d/d pi of Σ pi_k v_k."""
    shares = torch.tensor([[0.2, 0.7, 0.1]], requires_grad=True)
    opinions = torch.tensor([3.0, 5.0, -2.0])
    picked = TopOne()(shares)
    assert picked.tolist() == [[0, 1, 0]]
    torch.autograd.backward((picked @ opinions).sum())
    assert shares.grad is not None
    assert shares.grad.tolist() == [[3.0, 5.0, -2.0]]


def test_equal_shares_have_one_winner() -> None:
    assert TopOne().eval()(torch.tensor([[0.0, 0.5, 0.5]])).tolist() == [[0, 1, 0]]


def test_even_shares() -> None:
    present = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    assert even_shares(present).tolist() == [[0.5, 0, 0.5], [0, 0, 0], [0, 1, 0]]


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
