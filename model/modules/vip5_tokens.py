"""Items as tokens of a prompt (VIP5, PAPER section 8): one of the item's number, some of its media."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.modules.state_tower import StateReader

ID_DEVIATION = 0.02


class MediaTokens(StateReader):
    """Linear maps of the standardised last state of each modality to t tokens."""

    def forward(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Takes present bool [n, m] and m states [n, 1, D_k]; returns [n, m, t·d], zero where absent."""
        projected = [project(part)[0] for project, part in zip(self.projections, states, strict=True)]
        return torch.stack(projected, dim=1) * present[..., None]


class TokenFusion(nn.Module):
    """The tokens of an item known by its media alone: [0 | v_1 … v_t], each v the mean over the present modalities."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, read: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Takes [n, m, t·d], zero where absent, and present bool [n, m].

        Returns:
            Vectors [n, d + t·d], and how large each modality's part is among all of them, [n, m].
        """
        media = read.sum(dim=1) / present.sum(dim=1, keepdim=True).clamp(min=1)
        sizes = torch.linalg.vector_norm(read, dim=-1)
        shares = sizes / sizes.sum(dim=1, keepdim=True).clamp(min=torch.finfo(sizes.dtype).tiny)
        return torch.cat([media.new_zeros(len(media), self.width), media], dim=1), shares


class NoMedia(nn.Module):
    """What is known of an item by its media when there are no media tokens: nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, present: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """Takes present bool [n, m] and states; returns zero vectors [n, d] and zero shares [n, m]."""
        shares = torch.zeros_like(present, dtype=torch.float32)
        return shares[:, :1].expand(-1, self.width), shares


class TokenTower(nn.Module):
    """Item vectors [id | v_1 … v_t]; an item that no training event is about has a zero for its id.

    Args:
        content: (present, *states) to [0 | v_1 … v_t] and shares.
        item_count: items in the catalogue.
        width: d.
    """

    def __init__(self, content: nn.Module, item_count: int, width: int) -> None:
        super().__init__()
        self.content = content
        self.ids = nn.Embedding(item_count, width)
        nn.init.normal_(self.ids.weight, std=ID_DEVIATION)
        self.learned: Tensor
        self.register_buffer("learned", torch.zeros(item_count, dtype=torch.bool))

    def count(self, events: Tensor) -> None:
        """Takes the training events of each item, int64 [items]."""
        self.learned.copy_(events > 0)

    def forward(self, numbers: Tensor, present: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """Takes item numbers int64 [n], present bool [n, m] and m states; returns vectors [n, w], shares [n, m]."""
        media, shares = self.content(present, *states)
        ids = self.ids(numbers) * self.learned[numbers][:, None]
        return torch.cat([ids, media[:, ids.shape[1] :]], dim=1), shares
