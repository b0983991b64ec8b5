"""Mixture of Modality Expert Fusion (MOMEF, PAPER section 5): one vector of what each modality says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.modules.cross_modal import masked_softmax


class ModalityExpertFusion(nn.Module):
    """v_k = E_k(z_k);  pi = softmax(W_g [z_1; …; z_m] + b_g over the present);  e = LayerNorm(Σ pi_k v_k)."""

    def __init__(self, experts: Sequence[nn.Module], gate: nn.Linear, width: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)
        self.gate = gate
        self.norm = nn.LayerNorm(width)

    def forward(self, adapted: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Takes z [n, m, d], zero where absent, and present bool [n, m]; returns e [n, d_e] and pi [n, m]."""
        shares = masked_softmax(self.gate(adapted.flatten(1)), present)
        opinions = torch.stack([expert(adapted[:, k]) for k, expert in enumerate(self.experts)], dim=1)
        vectors: Tensor = self.norm((shares[:, None, :] @ opinions)[:, 0])
        return vectors, shares


class ModalityDropout(nn.Module):
    """In training, hides each present modality with a probability, but never all that an item has."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, present: Tensor) -> Tensor:
        """Takes and returns present, bool [n, m]."""
        if not self.training or self.probability == 0.0:
            return present
        kept = present & (torch.rand(present.shape, device=present.device) >= self.probability)
        return torch.where(kept.any(dim=1, keepdim=True), kept, present)
