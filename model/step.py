"""The loss of one batch: candidates, network and loss put together, for the rows that this process has."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.config import OptimisationConfig
from model.data.batch import Batch
from model.data.dataset import Interactions
from model.losses import LOSSES, Catalogue, Positions
from model.methods.base import ItemInputs
from model.processes import Group


class BatchLoss:
    """Says what a batch costs.

    Args:
        train: the events learned from.
        rankable: bool [n], the items that can be recommended.
        wanted: the loss and its options.
        device: as torch names it.
        group: who shares the batches; the candidates are those of the whole batch, so that nothing depends on it.
    """

    def __init__(
        self,
        train: Interactions,
        rankable: NDArray[np.bool_],
        wanted: OptimisationConfig,
        *,
        device: str,
        group: Group,
    ) -> None:
        events = np.bincount(train.items, minlength=len(rankable))
        self._catalogue = Catalogue(np.flatnonzero(rankable), events, device)
        self._loss = LOSSES[wanted.loss](self._catalogue, wanted)
        cosine = wanted.score == "cosine"
        self._scale = 1.0 / (wanted.cosine_temperature if cosine else wanted.temperature)
        self._group = group

    def __call__(self, network: nn.Module, inputs: ItemInputs, batch: Batch, rng: np.random.Generator) -> Tensor:
        """Returns the sum of the losses of this process's targets; without gradient when it has none."""
        tensor = self._catalogue.tensor
        candidates = self._loss.candidates(batch, rng)
        own = batch.share(self._group.rank, self._group.count)
        if not len(own.lengths):
            return torch.zeros((), device=self._catalogue.device)
        sequences, targets = (
            tensor(np.where(part < 0, -1, np.searchsorted(candidates.items, part)))
            for part in (own.inputs, own.targets)
        )
        vectors, users = network(inputs.gather(tensor(candidates.items)), sequences, tensor(own.lengths))
        real = targets >= 0
        window = torch.cat([sequences, targets[:, -1:]], dim=1)[real.nonzero()[:, 0]]
        return candidates.loss(Positions(users[real] * self._scale, vectors, targets[real], window))
