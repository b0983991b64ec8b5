"""Interest groups (PAPER section 8, Kim et al.): users routed by what they consumed, items as each group sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.modules.score import PrefixEncoder
from model.modules.state_tower import StateReader


class Router(nn.Module):
    """What an item says about the groups of those who consume it, from its content alone and untrained.

    With x the standardised last states of all modalities, zero where absent and each modality divided by √D_k, and
    r = B x its main components, the affinity to the group with centroid c_g is a_g = r · c_g - |c_g|² / 2. It is linear
    in r, so the group of highest mean affinity over some items is the one whose centroid is nearest to their mean r:
    |r - c_g|² = |r|² - 2 a_g.
    """

    def __init__(self, widths: Sequence[int], components: int, groups: int) -> None:
        super().__init__()
        self.widths = tuple(widths)
        total = sum(widths)
        self.centre: Tensor
        self.scale: Tensor
        self.basis: Tensor
        self.centroids: Tensor
        self.register_buffer("centre", torch.zeros(total))
        self.register_buffer("scale", torch.ones(total))
        self.register_buffer("basis", torch.zeros(total, components))
        self.register_buffer("centroids", torch.zeros(groups, components))

    def components(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Returns r [n, components] of present bool [n, m] and m states [n, l, D_k], of which the last is read."""
        return self._standardised(present, states) @ self.basis

    def forward(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Returns the affinities a [n, k] of present bool [n, m] and m states [n, l, D_k]."""
        affinities: Tensor = self.components(present, states) @ self.centroids.T - self.centroids.square().sum(1) / 2
        return affinities

    def fit_basis(self, present: Tensor, states: Sequence[Tensor]) -> None:
        """Takes statistics and main components from a sample of items."""
        for width, start, column, part in zip(self.widths, self._starts(), present.T, states, strict=True):
            last = part[column][:, -1]
            if len(last):
                self.centre[start : start + width] = last.mean(dim=0)
                spread = last.var(dim=0, correction=0).sqrt().clamp(min=1e-3)
                self.scale[start : start + width] = 1 / (spread * width**0.5)
        standardised = self._standardised(present, states)
        _, directions = torch.linalg.eigh(standardised.T @ standardised)
        found = directions.flip(1)[:, : self.basis.shape[1]]
        self.basis.zero_()
        self.basis[:, : found.shape[1]] = found

    def _standardised(self, present: Tensor, states: Sequence[Tensor]) -> Tensor:
        """Returns x [n, Σ D_k]."""
        last = torch.cat([part[:, -1] for part in states], dim=1)
        there = torch.cat([present[:, k : k + 1].expand(-1, width) for k, width in enumerate(self.widths)], dim=1)
        return (last - self.centre) * self.scale * there

    def _starts(self) -> list[int]:
        return [sum(self.widths[:k]) for k in range(len(self.widths))]


class GroupedItemTower(nn.Module):
    """Item vectors [a | e_1 | … | e_k]: affinities to the groups, and the item as each group sees it.

    `shares` is the mean over the groups.

    Args:
        modality_dropout: present bool [n, m] to what of it is shown to the groups.
        reader: its projections, the dimension transformations, are shared by the groups.
        views: for each group, (present [n, m], *projected states [l, n, d]) to e_g [n, d_e] and shares [n, m].
        router: see there; it sees all that is present.
    """

    def __init__(
        self, modality_dropout: nn.Module, reader: StateReader, views: Sequence[nn.Module], router: Router
    ) -> None:
        super().__init__()
        self.modality_dropout = modality_dropout
        self.reader = reader
        self.views = nn.ModuleList(views)
        self.router = router

    def forward(self, present: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """Takes present bool [n, m] and m states [n, l, D_k]; returns vectors [n, k + k·d_e] and shares [n, m]."""
        kept = self.modality_dropout(present)
        projected = [project(part) for project, part in zip(self.reader.projections, states, strict=True)]
        seen = [view(kept, *projected) for view in self.views]
        vectors = torch.cat([self.router(present, states), *(one for one, _ in seen)], dim=1)
        return vectors, torch.stack([shares for _, shares in seen]).mean(dim=0)


class GroupedUserEncoder(nn.Module):
    """Routes a user to a group by what they consumed and encodes the sequence as that group sees it.

    The user vector is zero outside the group's slot, so the inner product with an item vector is the one with e_g:
    each group searches an item matrix of its own. The encoder is shared by the groups. Every prefix has the group that
    it would have as a whole sequence.
    """

    def __init__(self, encoder: nn.Module, groups: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.groups = groups

    @property
    def blocks(self) -> nn.Module:
        """The blocks of the shared encoder."""
        return cast(nn.Module, self.encoder.blocks)

    def forward(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes every prefix: sequences [b, s, w] padded on the left, lengths [b]; returns [b, s, w]."""
        affinities, seen = self._taken_apart(sequences)
        consumed = (affinities * _real(sequences, lengths)[..., None]).cumsum(dim=1)
        rows = seen.permute(2, 0, 1, 3).flatten(0, 1)
        encoded: Tensor = self.encoder(rows, lengths.repeat(self.groups))
        apart = encoded.reshape(self.groups, *sequences.shape[:2], -1).permute(1, 2, 0, 3)
        return self._placed(apart, consumed)

    def last(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Encodes whole sequences [b, s, w] to [b, w], each once, as its group sees it."""
        affinities, seen = self._taken_apart(sequences)
        consumed = (affinities * _real(sequences, lengths)[..., None]).sum(dim=1)
        chosen = consumed.argmax(dim=-1)[:, None, None, None]
        own = seen.gather(2, chosen.expand(-1, seen.shape[1], 1, seen.shape[3]))[:, :, 0]
        encoded = cast(PrefixEncoder, self.encoder).last(own, lengths)
        return self._placed(encoded[:, None, :].expand(-1, self.groups, -1), consumed)

    def _taken_apart(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Splits item vectors [b, s, w] into affinities [b, s, k] and what each group sees [b, s, k, d]."""
        users, items, _ = sequences.shape
        affinities, slots = sequences[..., : self.groups], sequences[..., self.groups :]
        return affinities, slots.reshape(users, items, self.groups, -1)

    def _placed(self, encoded: Tensor, consumed: Tensor) -> Tensor:
        """Keeps, of encoded [..., k, d], the group of highest affinity [..., k]; returns [..., k + k·d]."""
        group = functional.one_hot(consumed.argmax(dim=-1), self.groups).to(encoded.dtype)
        slots = (encoded * group[..., None]).flatten(-2)
        return torch.cat([torch.zeros_like(group), slots], dim=-1)


def _real(sequences: Tensor, lengths: Tensor) -> Tensor:
    """Returns which positions are not padding, [b, s], as numbers of the sequences' type."""
    count = sequences.shape[1]
    place = torch.arange(count, device=sequences.device)
    return (place[None, :] >= count - lengths[:, None]).to(sequences.dtype)
