import math

import pytest
import torch
from torch import Tensor, nn

from model.modules.adapters import SideAdapter
from model.modules.cross_modal import SideLayer
from model.modules.intra_inter import InterModalLayer, IntraInterSideNetwork, TowerEnds
from model.modules.projection import Standardisation

WIDTH, LAYERS, TAU = 6, 3, 0.1


def _network(modalities: int) -> IntraInterSideNetwork:
    """A network whose gates are all away from their starting values."""
    torch.manual_seed(0)
    network = IntraInterSideNetwork(
        [Standardisation(WIDTH, LAYERS, 0.0) for _ in range(modalities)],
        [SideLayer([_adapter() for _ in range(modalities)], None, TAU) for _ in range(LAYERS)],
        [InterModalLayer(_adapter(), modalities, TAU) for _ in range(LAYERS)],
    )
    for name, parameter in network.named_parameters():
        if name.endswith("theta"):
            nn.init.normal_(parameter, std=0.1)
        if name.endswith("up.bias"):
            nn.init.normal_(parameter)
    return network


def _adapter() -> SideAdapter:
    return SideAdapter(WIDTH, 2, nn.GELU())


def _masks(modalities: int) -> Tensor:
    """Every mix of modalities, that of none included."""
    return torch.tensor([[bool(mask >> k & 1) for k in range(modalities)] for mask in range(2**modalities)])


@torch.no_grad()
def _reference(network: IntraInterSideNetwork, present: Tensor, states: list[Tensor]) -> Tensor:
    """PAPER section 3, written out for one item, one layer and one tower at a time."""
    modalities = present.shape[1]
    result = torch.zeros(len(present), modalities + 1, WIDTH)
    for item in range(len(present)):
        there = [k for k in range(modalities) if present[item, k]]
        h = {k: network.projections[k](states[k][item : item + 1])[:, 0] for k in there}
        z = {k: torch.zeros(WIDTH) for k in there}
        z_x = torch.zeros(WIDTH)
        for j in range(LAYERS):
            for k in there:
                g = 1 / (1 + math.exp(-float(network.intra[j].theta[k]) / TAU))
                z[k] = network.intra[j].adapters[k](g * h[k][j] + (1 - g) * z[k])
            logits = [*network.inter[j].theta.tolist(), 0.0]
            total = sum(math.exp(logits[k] / TAU) for k in there)
            for k in there:
                z_x = z_x + math.exp(logits[k] / TAU) / total * h[k][j]
            z_x = network.inter[j].adapter(z_x)
        for k in there:
            result[item, k] = z[k]
        if there:
            result[item, modalities] = z_x
    return result


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_network_is_the_equations_for_every_mix_of_modalities(modalities: int) -> None:
    network, present = _network(modalities), _masks(modalities)
    states = [torch.randn(len(present), LAYERS, WIDTH) for _ in range(modalities)]
    found = network(present, states)
    torch.testing.assert_close(found, _reference(network, present, states), atol=1e-5, rtol=1e-5)


def test_two_modalities_have_one_gate_as_published() -> None:
    """z_x' = A_x(z_x + g · h_image + (1 - g) · h_text), with g = sigmoid(theta / 0.1)."""
    torch.manual_seed(0)
    layer = InterModalLayer(_adapter(), 2, TAU)
    assert layer.theta.shape == (1,)
    nn.init.constant_(layer.theta, 0.05)
    tower, image, text = torch.randn(4, WIDTH), torch.randn(4, WIDTH), torch.randn(4, WIDTH)
    gate = 1 / (1 + math.exp(-0.5))
    expected = layer.adapter(tower + gate * image + (1 - gate) * text)
    found = layer(tower, torch.stack([image, text], dim=1), torch.ones(4, 2, dtype=torch.bool))
    torch.testing.assert_close(found, expected)


def test_what_an_absent_modality_holds_is_not_read() -> None:
    network, present = _network(3), torch.tensor([[True, False, True]])
    states = [torch.randn(1, LAYERS, WIDTH) for _ in range(3)]
    before = network(present, states)
    states[1] = 100 * torch.randn(1, LAYERS, WIDTH)
    torch.testing.assert_close(network(present, states), before)
    assert before[0, 1].abs().sum() == 0


def test_ends_are_mapped_and_joined_without_the_absent() -> None:
    torch.manual_seed(0)
    fusion = TowerEnds([nn.Linear(WIDTH, 4) for _ in range(3)], nn.Linear(3 * 4, 4))
    present = _masks(2)
    there = torch.cat([present, present.any(dim=1, keepdim=True)], dim=1)
    ends = torch.randn(4, 3, WIDTH) * there[..., None]
    vectors, shares = fusion(ends, present)
    for item in range(4):
        parts = [fusion.heads[t](ends[item, t]) if there[item, t] else torch.zeros(4) for t in range(3)]
        torch.testing.assert_close(vectors[item], fusion.norm(fusion.output(torch.cat(parts))), atol=1e-5, rtol=1e-5)
    assert shares.tolist() == [[0, 0], [1, 0], [0, 1], [0.5, 0.5]]
