"""The cross-modal side adapter network (PAPER section 4): one side network a modality, linked layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.modules.state_tower import StateReader


def masked_softmax(logits: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the last axis where `allowed`; a row that allows nothing is all zeros."""
    shifted = logits.masked_fill(~allowed, -torch.inf)
    highest = shifted.amax(dim=-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).min)
    weights = torch.exp(shifted - highest)
    return weights / weights.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(logits.dtype).tiny)


class AdaptedLinks(nn.Module):
    """Cross path that reads what the other modalities' adapters made of the layers before: z^(j-1)."""

    def forward(self, adapted: Tensor, projected: Tensor) -> Tensor:
        """Takes z^(j-1) and x^j, [n, m, d] each, and returns the source of the links [n, m, d]."""
        return adapted


class RawLinks(nn.Module):
    """Cross path that reads the other modalities' projected states of the same layer: x^j."""

    def forward(self, adapted: Tensor, projected: Tensor) -> Tensor:
        """Takes z^(j-1) and x^j, [n, m, d] each, and returns the source of the links [n, m, d]."""
        return projected


class LowRankMaps(nn.Module):
    """What maps add to links that are scalars: B_k Σ_r w_kr · A_r source_r, with B = 0 at the start.

    With it c_k = Σ_r w_kr · (I + B_k A_r) source_r. The factors A_r belong to the source and B_k to the target, so
    that nothing grows with the number of pairs.
    """

    def __init__(self, modalities: int, width: int, rank: int) -> None:
        super().__init__()
        self.down_weight = nn.Parameter(torch.randn(modalities, width, rank) * width**-0.5)
        self.up_weight = nn.Parameter(torch.zeros(modalities, rank, width))

    def forward(self, weights: Tensor, source: Tensor) -> Tensor:
        """Takes link weights w [n, m, m] and the source [n, m, d]; returns what is added to c, [n, m, d]."""
        low = torch.bmm(source.transpose(0, 1), self.down_weight).transpose(0, 1)
        return torch.bmm((weights @ low).transpose(0, 1), self.up_weight).transpose(0, 1)


class SideLayer(nn.Module):
    """One layer group j of all modalities k.

    a_k = g_k · x_k + (1 - g_k) · z_k,  g_k = sigmoid(theta_k / tau)
    c_k = Σ_{r ≠ k} w_kr · source_r,    w_k· = softmax of phi_kr over the present r
    z_k' = A_k(a_k + gamma_k · c_k),    gamma starts at 0

    Args:
        adapters: A_k.
        links: what the cross path reads, (z^(j-1), x^j) to the source; None for no cross path.
        gate_temperature: tau.
        maps: what is added to the links, see `LowRankMaps`; None for scalars alone.
    """

    def __init__(
        self,
        adapters: Sequence[nn.Module],
        links: nn.Module | None,
        gate_temperature: float,
        *,
        maps: nn.Module | None = None,
    ) -> None:
        super().__init__()
        modalities = len(adapters)
        self.adapters = nn.ModuleList(adapters)
        self.links = links
        self.gate_temperature = gate_temperature
        self.theta = nn.Parameter(torch.zeros(modalities, 1))
        if links is not None:
            self.maps = maps
            self.phi = nn.Parameter(torch.zeros(modalities, modalities))
            self.gamma = nn.Parameter(torch.zeros(modalities, 1))

    def forward(self, adapted: Tensor, projected: Tensor, present: Tensor) -> Tensor:
        """Takes z^(j-1) and x^j [n, m, d] and present bool [n, m]; returns z^j [n, m, d]."""
        gate = torch.sigmoid(self.theta / self.gate_temperature)
        states = gate * projected + (1 - gate) * adapted
        if self.links is not None:
            states = states + self.gamma * self._linked(self.links(adapted, projected), present)
        return torch.stack([adapter(states[:, k]) for k, adapter in enumerate(self.adapters)], dim=1)

    def _linked(self, source: Tensor, present: Tensor) -> Tensor:
        """Returns c [n, m, d] of source [n, m, d]."""
        others = ~torch.eye(present.shape[1], dtype=torch.bool, device=present.device)
        weights = masked_softmax(self.phi, others & present[:, None, :])
        linked = weights @ source
        return linked if self.maps is None else linked + self.maps(weights, source)


class CrossModalSideNetwork(StateReader):
    """Runs the layer groups over the projected states of all modalities."""

    def __init__(self, projections: Sequence[nn.Module], layers: Sequence[nn.Module]) -> None:
        super().__init__(projections)
        self.layers = nn.ModuleList(layers)

    def forward(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Takes present bool [n, m] and m states [n, l, D_k]; returns z^l [n, m, d], zero where absent."""
        there = present[..., None]
        projected = torch.stack([project(part) for project, part in zip(self.projections, states, strict=True)], dim=2)
        adapted = projected[0] * there
        for layer, current in zip(self.layers, projected, strict=True):
            adapted = layer(adapted, current * there, present) * there
        return adapted
