import math

import pytest
import torch
from torch import Tensor, nn

from model.modules.adapters import SideAdapter
from model.modules.cross_modal import (
    AdaptedLinks,
    CrossModalSideNetwork,
    LowRankMaps,
    RawLinks,
    SideLayer,
    masked_softmax,
)
from model.modules.projection import DimensionTransformation

WIDTHS, LAYERS, WIDTH, RANK = (6, 10, 3), 3, 4, 2


def _network(links: type[nn.Module] | None, *, mapped: bool = False) -> CrossModalSideNetwork:
    """A network whose gates and links are all away from their starting values."""
    torch.manual_seed(0)
    projections = [DimensionTransformation(width, WIDTH, LAYERS, 0.0) for width in WIDTHS]
    layers = [
        SideLayer(
            [SideAdapter(WIDTH, 2, nn.GELU()) for _ in WIDTHS],
            links() if links else None,
            0.1,
            maps=LowRankMaps(len(WIDTHS), WIDTH, RANK) if mapped else None,
        )
        for _ in range(LAYERS)
    ]
    network = CrossModalSideNetwork(projections, layers)
    for name, parameter in network.named_parameters():
        if name.rpartition(".")[2] in ("theta", "phi", "gamma", "up_weight"):
            nn.init.normal_(parameter, std=0.1 if name.endswith("theta") else 1.0)
    return network


@torch.no_grad()
def _reference(network: CrossModalSideNetwork, present: Tensor, states: list[Tensor], *, raw: bool) -> Tensor:
    """PAPER section 4, written out for one item, one modality and one layer at a time."""
    result = torch.zeros(len(present), len(WIDTHS), WIDTH)
    for item in range(len(present)):
        there = [k for k in range(len(WIDTHS)) if present[item, k]]
        x = {k: network.projections[k](states[k][item : item + 1])[:, 0] for k in there}
        z = {k: x[k][0] for k in there}
        for j, layer in enumerate(network.layers):
            new = {}
            for k in there:
                g = 1 / (1 + math.exp(-float(layer.theta[k]) / 0.1))
                a = g * x[k][j] + (1 - g) * z[k]
                others = [r for r in there if r != k]
                total = sum(math.exp(float(layer.phi[k, r])) for r in others)
                for r in others:
                    source = x[r][j] if raw else z[r]
                    if layer.maps is not None:
                        source = source + source @ layer.maps.down_weight[r] @ layer.maps.up_weight[k]
                    a = a + float(layer.gamma[k]) * math.exp(float(layer.phi[k, r])) / total * source
                new[k] = layer.adapters[k](a)
            z = new
        for k in there:
            result[item, k] = z[k]
    return result


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize(("links", "raw"), [(AdaptedLinks, False), (RawLinks, True)])
def test_network_is_the_equations_for_every_mix_of_modalities(links: type[nn.Module], raw: bool, mapped: bool) -> None:
    network = _network(links, mapped=mapped)
    present = torch.tensor([[bool(mask >> k & 1) for k in range(3)] for mask in range(1, 8)])
    states = [torch.randn(7, LAYERS, width) for width in WIDTHS]
    torch.testing.assert_close(
        network(present, states), _reference(network, present, states, raw=raw), atol=1e-5, rtol=1e-5
    )


def test_what_an_absent_modality_holds_is_not_read() -> None:
    network = _network(AdaptedLinks)
    present = torch.tensor([[True, False, True]])
    states = [torch.randn(1, LAYERS, width) for width in WIDTHS]
    before = network(present, states)
    states[1] = 100 * torch.randn(1, LAYERS, WIDTHS[1])
    torch.testing.assert_close(network(present, states), before)
    assert before[0, 1].abs().sum() == 0


def test_it_starts_as_independent_side_networks() -> None:
    torch.manual_seed(0)
    linked = SideLayer([SideAdapter(4, 2, nn.GELU()) for _ in range(2)], AdaptedLinks(), 0.1)
    z, x, present = torch.randn(5, 2, 4), torch.randn(5, 2, 4), torch.ones(5, 2, dtype=torch.bool)
    before = linked(z, x, present)
    z[:, 1] += 1
    torch.testing.assert_close(linked(z, x, present)[:, 0], before[:, 0])


def test_without_links_there_is_nothing_to_learn_about_them() -> None:
    network = _network(None)
    assert not [name for name, _ in network.named_parameters() if "phi" in name or "gamma" in name]
    assert network(torch.ones(2, 3, dtype=torch.bool), [torch.randn(2, LAYERS, w) for w in WIDTHS]).shape == (2, 3, 4)


def test_masked_softmax_of_nothing_is_zero() -> None:
    allowed = torch.tensor([[True, True, False], [False, False, False]])
    weights = masked_softmax(torch.tensor([[math.log(3), 0.0, 50.0]] * 2), allowed)
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25, 0.0], [0.0, 0.0, 0.0]]))


def test_maps_start_as_scalars() -> None:
    assert LowRankMaps(3, 4, 2)(torch.rand(5, 3, 3), torch.randn(5, 3, 4)).abs().sum() == 0
