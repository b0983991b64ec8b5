"""IISAN's side network (PAPER section 3): a tower for each modality, and one between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.modules.cross_modal import masked_softmax
from model.modules.fusion import even_shares
from model.modules.state_tower import StateReader


class InterModalLayer(nn.Module):
    """One layer j of the inter-modal tower: z' = A(z + Σ_k g_k · x_k), with g = softmax([theta, 0] / tau).

    Over two modalities that is z' = A(z + g · x_1 + (1 - g) · x_2) with g = sigmoid(theta / tau), as published. Where
    modalities are absent, the gates of the present add up to one.
    """

    def __init__(self, adapter: nn.Module, modalities: int, gate_temperature: float) -> None:
        super().__init__()
        self.adapter = adapter
        self.gate_temperature = gate_temperature
        self.theta = nn.Parameter(torch.zeros(modalities - 1))

    def forward(self, tower: Tensor, states: Tensor, present: Tensor) -> Tensor:
        """Takes z^(j-1) [n, d], x^j [n, m, d] and present bool [n, m]; returns z^j [n, d]."""
        logits = torch.cat([self.theta, self.theta.new_zeros(1)]) / self.gate_temperature
        gates = masked_softmax(logits, present)
        adapted: Tensor = self.adapter(tower + (gates[:, None, :] @ states)[:, 0])
        return adapted


class IntraInterSideNetwork(StateReader):
    """Runs the intra-modal towers and the inter-modal tower over the same states; all towers start at zero.

    Args:
        projections: what each modality's states go through first, [n, l, D_k] to [l, n, d].
        intra: for each layer, one step of the intra-modal towers, a `SideLayer` without links.
        inter: for each layer, an `InterModalLayer`.
    """

    def __init__(
        self, projections: Sequence[nn.Module], intra: Sequence[nn.Module], inter: Sequence[nn.Module]
    ) -> None:
        super().__init__(projections)
        self.intra = nn.ModuleList(intra)
        self.inter = nn.ModuleList(inter)

    def forward(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Takes present bool [n, m] and m states [n, l, D_k].

        Returns:
            The ends of all towers [n, m + 1, d], the inter-modal one last; zero where there is nothing to read.
        """
        there = present[..., None]
        projected = torch.stack([project(part) for project, part in zip(self.projections, states, strict=True)], dim=2)
        own = torch.zeros_like(projected[0])
        between = own[:, 0]
        for intra, inter, current in zip(self.intra, self.inter, projected, strict=True):
            seen = current * there
            own = intra(own, seen, present) * there
            between = inter(between, seen, present)
        between = between * present.any(dim=1, keepdim=True)
        return torch.cat([own, between[:, None]], dim=1)


class TowerEnds(nn.Module):
    """e = LayerNorm(W [H_1 z_1; …; H_m z_m; H_x z_x] + b): each tower's end is mapped, and all are joined.

    Which modality an item's vector owes what to is not known, so the shares are even over the present.

    Args:
        heads: H, one for each tower, the inter-modal one last; [n, d] to [n, d_e] each.
        output: W and b, [n, (m + 1)·d_e] to [n, d_e].
    """

    def __init__(self, heads: Sequence[nn.Module], output: nn.Linear) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)
        self.output = output
        self.norm = nn.LayerNorm(output.out_features)

    def forward(self, ends: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Takes z [n, m + 1, d] and present bool [n, m]; returns e [n, d_e] and even shares [n, m]."""
        mapped = torch.stack([head(ends[:, tower]) for tower, head in enumerate(self.heads)], dim=1)
        there = torch.cat([present, present.any(dim=1, keepdim=True)], dim=1)
        vectors: Tensor = self.norm(self.output((mapped * there[..., None]).flatten(1)))
        return vectors, even_shares(present).to(ends.dtype)
