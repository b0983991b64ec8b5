"""An item tower over stored hidden states: what every method beside frozen encoders is assembled into."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StateReader(nn.Module):
    """What brings the states of all modalities to one width.

    Its forward takes present bool [n, m] and m states [n, l, D_k], and returns [n, r, d], zero where a modality is
    absent; r is m, or m and what the modalities have in common.

    Args:
        projections: what each modality's states go through first, [n, l, D_k] to [l, n, d].
    """

    def __init__(self, projections: Sequence[nn.Module]) -> None:
        super().__init__()
        self.projections = nn.ModuleList(projections)


class LastStates(StateReader):
    """Linear, then an activation, on the last state of each modality: no side network."""

    def __init__(self, projections: Sequence[nn.Module], activation: nn.Module) -> None:
        super().__init__(projections)
        self.activation = activation

    def forward(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Takes present bool [n, m] and m states [n, 1, D_k]; returns [n, m, d], zero where absent."""
        projected = [project(part)[0] for project, part in zip(self.projections, states, strict=True)]
        there: Tensor = self.activation(torch.stack(projected, dim=1)) * present[..., None]
        return there


class StateTower(nn.Module):
    """Hidden states of every modality → reader → fusion.

    Args:
        modality_dropout: present bool [n, m] to what of it is shown.
        reader: see `StateReader`.
        fusion: (read [n, r, d], present bool [n, m]) to vectors [n, d_e] and shares [n, m].
    """

    def __init__(self, modality_dropout: nn.Module, reader: StateReader, fusion: nn.Module) -> None:
        super().__init__()
        self.modality_dropout = modality_dropout
        self.reader = reader
        self.fusion = fusion

    def forward(self, present: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """Takes present bool [n, m] and m states [n, l, D_k]; returns vectors [n, d_e] and shares [n, m]."""
        kept = self.modality_dropout(present)
        fused: tuple[Tensor, Tensor] = self.fusion(self.reader(kept, states), kept)
        return fused


class ResidualTower(nn.Module):
    """An item's vector is what its content says, plus a learned residual if enough happened with the item.

    e = content(item) + r_item, with r = 0 at the start. The content part is normalised by its own fusion and the
    residual is added after that, so that items without one stay in the space in which all content vectors lie.

    Args:
        content: (present, *states) to vectors [n, d_e] and shares [n, m].
        item_count: items in the catalogue.
        width: d_e.
        min_events: training events that an item needs for a residual.
        dropout: probability with which a training step sees an item without its residual, so that the content part
            stays good alone.
    """

    def __init__(self, content: nn.Module, item_count: int, width: int, *, min_events: int, dropout: float) -> None:
        super().__init__()
        self.content = content
        self.residuals = nn.Embedding(item_count, width)
        nn.init.zeros_(self.residuals.weight)
        self.min_events = min_events
        self.dropout = dropout
        self.learned: Tensor
        self.register_buffer("learned", torch.zeros(item_count, dtype=torch.bool))

    def count(self, events: Tensor) -> None:
        """Takes the training events of each item, int64 [items], which decide the items that have a residual."""
        self.learned.copy_(events >= self.min_events)

    def forward(self, numbers: Tensor, present: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """Takes item numbers int64 [n], present bool [n, m] and m states; returns vectors [n, d_e], shares [n, m]."""
        vectors, shares = self.content(present, *states)
        shown = self.learned[numbers]
        if self.training and self.dropout:
            shown = shown & (torch.rand(len(numbers), device=numbers.device) >= self.dropout)
        return vectors + self.residuals(numbers) * shown[:, None], shares
