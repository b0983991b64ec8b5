"""The cross-modal side adapter network (PAPER section 4): one side network a modality, linked layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


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


class SideLayer(nn.Module):
    """One layer group j of all modalities k.

    a_k = g_k · x_k + (1 - g_k) · z_k,  g_k = sigmoid(theta_k / tau)
    c_k = Σ_{r ≠ k} w_kr · source_r,    w_k· = softmax of phi_kr over the present r
    z_k' = A_k(a_k + gamma_k · c_k),    gamma starts at 0
    """

    def __init__(self, adapters: Sequence[nn.Module], links: nn.Module | None, gate_temperature: float) -> None:
        super().__init__()
        modalities = len(adapters)
        self.adapters = nn.ModuleList(adapters)
        self.links = links
        self.gate_temperature = gate_temperature
        self.theta = nn.Parameter(torch.zeros(modalities, 1))
        if links is not None:
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
        return weights @ source


class CrossModalSideNetwork(nn.Module):
    """Runs the layer groups over the projected states of all modalities."""

    def __init__(self, projections: Sequence[nn.Module], layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.projections = nn.ModuleList(projections)
        self.layers = nn.ModuleList(layers)

    def forward(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Takes present bool [n, m] and m states [n, l, D_k]; returns z^l [n, m, d], zero where absent."""
        there = present[..., None]
        projected = torch.stack([project(part) for project, part in zip(self.projections, states, strict=True)], dim=2)
        adapted = projected[0] * there
        for layer, current in zip(self.layers, projected, strict=True):
            adapted = layer(adapted, current * there, present) * there
        return adapted
