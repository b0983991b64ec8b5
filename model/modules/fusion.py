"""Mixture of Modality Expert Fusion (MOMEF, PAPER section 5) and its ablations: one vector of what modalities say.

Every fusion takes z [n, m, d], zero where absent, and present bool [n, m]; it returns vectors e [n, d_e] and the
shares [n, m] that the modalities have in them, which add up to one over the present.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.modules.cross_modal import masked_softmax


def even_shares(present: Tensor) -> Tensor:
    """Returns the same share for each present modality of present bool [n, m], float [n, m]."""
    return present / present.sum(dim=1, keepdim=True).clamp(min=1)


class TopOne(nn.Module):
    """Gives everything to the largest share; what trains the gate is the gradient of the shares as they were."""

    def forward(self, shares: Tensor) -> Tensor:
        """Takes and returns shares [n, m]; rows of zeros stay zero."""
        places = torch.arange(shares.shape[1], device=shares.device)
        winner = ((places == shares.argmax(dim=1, keepdim=True)) & (shares > 0)).to(shares.dtype)
        return winner + (shares - shares.detach()) if self.training else winner


class ModalityExpertFusion(nn.Module):
    """v_k = E_k(z_k);  pi = softmax(W_g [z_1; …; z_m] + b_g over the present);  e = LayerNorm(Σ pi_k v_k).

    Args:
        experts: E_k, [n, d] to [n, d_e] each.
        gate: W_g and b_g, [n, m·d] to [n, m].
        width: d_e.
        pick: what is made of pi before it mixes, shares [n, m] to shares [n, m].
    """

    def __init__(self, experts: Sequence[nn.Module], gate: nn.Linear, width: int, pick: nn.Module) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)
        self.gate = gate
        self.pick = pick
        self.norm = nn.LayerNorm(width)

    def forward(self, adapted: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Takes z [n, m, d], zero where absent, and present bool [n, m]; returns e [n, d_e] and pi [n, m]."""
        shares = self.pick(masked_softmax(self.gate(adapted.flatten(1)), present))
        opinions = torch.stack([expert(adapted[:, k]) for k, expert in enumerate(self.experts)], dim=1)
        vectors: Tensor = self.norm((shares[:, None, :] @ opinions)[:, 0])
        return vectors, shares


class GatedFusion(nn.Module):
    """The gate without experts: e = LayerNorm(W Σ pi_k z_k + b), with pi as in `ModalityExpertFusion`."""

    def __init__(self, gate: nn.Linear, output: nn.Linear) -> None:
        super().__init__()
        self.gate = gate
        self.output = output
        self.norm = nn.LayerNorm(output.out_features)

    def forward(self, adapted: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Takes z [n, m, d], zero where absent, and present bool [n, m]; returns e [n, d_e] and pi [n, m]."""
        shares = masked_softmax(self.gate(adapted.flatten(1)), present)
        vectors: Tensor = self.norm(self.output((shares[:, None, :] @ adapted)[:, 0]))
        return vectors, shares


class MeanFusion(nn.Module):
    """The mean of the present: e = LayerNorm(W mean z_k + b)."""

    def __init__(self, output: nn.Linear) -> None:
        super().__init__()
        self.output = output
        self.norm = nn.LayerNorm(output.out_features)

    def forward(self, adapted: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Takes z [n, m, d], zero where absent, and present bool [n, m]; returns e [n, d_e] and even shares."""
        shares = even_shares(present).to(adapted.dtype)
        vectors: Tensor = self.norm(self.output((shares[:, None, :] @ adapted)[:, 0]))
        return vectors, shares


class ConcatFusion(nn.Module):
    """All side by side, zeros for the absent: e = LayerNorm(W [z_1; …; z_m] + b).

    Which modality an item's vector owes what to is not known, so the shares are even over the present.
    """

    def __init__(self, output: nn.Linear) -> None:
        super().__init__()
        self.output = output
        self.norm = nn.LayerNorm(output.out_features)

    def forward(self, adapted: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Takes z [n, m, d], zero where absent, and present bool [n, m]; returns e [n, d_e] and even shares."""
        vectors: Tensor = self.norm(self.output(adapted.flatten(1)))
        return vectors, even_shares(present).to(adapted.dtype)


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
