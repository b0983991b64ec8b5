"""The option `interest_groups` (PAPER section 8): k groups of users, each with side adapters and experts of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.clustering import k_means
from model.config import CatalogueShape, TrainingConfig
from model.data.dataset import Dataset, Interactions
from model.methods.base import ItemInputs, Method
from model.methods.numbered import NumberedInputs
from model.modules.cross_modal import CrossModalSideNetwork
from model.modules.interest_groups import GroupedItemTower, GroupedUserEncoder, Router
from model.modules.state_tower import StateReader, StateTower

ROUTING_COMPONENTS = 16

OneGroup = Callable[[TrainingConfig, CatalogueShape], StateTower]


class NumberedTower(nn.Module):
    """A tower that reads content alone, where the inputs begin with the items' numbers."""

    def __init__(self, content: nn.Module) -> None:
        super().__init__()
        self.content = content

    def forward(self, items: Tensor, present: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:
        """Takes int64 [n], bool [n, m] and m states [n, l, D_k]; returns vectors [n, w] and shares [n, m]."""
        described: tuple[Tensor, Tensor] = self.content(present, *states)
        return described


def with_interest_groups(method: Method) -> Method:
    """Returns a side-adapter method that has the option; with one group it is the method itself.

    The numbers of the sampled items, which the towers of several groups get, are read by the preparation only: it
    has to know what each user consumed.
    """

    def build_tower(config: TrainingConfig, catalogue: CatalogueShape) -> nn.Module:
        if config.tower.interest_groups == 1:
            return method.build_tower(config, catalogue)
        return NumberedTower(build_grouped_tower(cast(OneGroup, method.build_tower), config, catalogue))

    def build_inputs(config: TrainingConfig, dataset: Dataset, device: str) -> ItemInputs:
        inputs = method.build_inputs(config, dataset, device)
        return inputs if config.tower.interest_groups == 1 else NumberedInputs(inputs, device=device)

    def prepare(tower: nn.Module, inputs: tuple[Any, ...], train: Interactions) -> None:
        if isinstance(tower, NumberedTower):
            method.prepare(tower.content, inputs[1:], train)
            _prepare(cast(GroupedItemTower, tower.content).router, inputs, train)
        else:
            method.prepare(tower, inputs, train)

    def content_tower(tower: nn.Module) -> nn.Module:
        return tower.content if isinstance(tower, NumberedTower) else method.content_tower(tower)

    def build_user_encoder(config: TrainingConfig) -> nn.Module:
        encoder, groups = method.build_user_encoder(config), config.tower.interest_groups
        return encoder if groups == 1 else GroupedUserEncoder(encoder, groups)

    return replace(
        method,
        build_tower=build_tower,
        build_inputs=build_inputs,
        prepare=prepare,
        content_tower=content_tower,
        build_user_encoder=build_user_encoder,
    )


def build_grouped_tower(build_one: OneGroup, config: TrainingConfig, catalogue: CatalogueShape) -> GroupedItemTower:
    """Builds k towers of one group and joins them: dimension transformations of the first, everything else of each."""
    groups = config.tower.interest_groups
    towers = [build_one(config, catalogue) for _ in range(groups)]
    first = towers[0]
    router = Router([modality.width for modality in catalogue.modalities], ROUTING_COMPONENTS, groups)
    shared = StateReader(list(first.reader.projections))
    return GroupedItemTower(first.modality_dropout, shared, [_view(tower) for tower in towers], router)


def _view(tower: StateTower) -> StateTower:
    """Returns the tower without its projections and its dropout, which come before and once for all groups."""
    reader = cast(CrossModalSideNetwork, tower.reader)
    unprojected = [nn.Identity() for _ in reader.projections]
    return StateTower(nn.Identity(), CrossModalSideNetwork(unprojected, list(reader.layers)), tower.fusion)


def _prepare(router: Router, inputs: tuple[Tensor, ...], train: Interactions) -> None:
    """Shows the router a sample of items, and what users consumed of it."""
    items, present, *states = inputs
    router.fit_basis(present, states)
    components = router.components(present, states).double().cpu().numpy()
    means = user_means(components, items.cpu().numpy(), train)
    if len(means):
        router.centroids.copy_(torch.from_numpy(k_means(means, len(router.centroids))))


def user_means(components: NDArray[np.float64], items: NDArray[np.int64], train: Interactions) -> NDArray[np.float64]:
    """Averages what users consumed.

    Args:
        components: float64 [n, r] of n items.
        items: int64 [n], their numbers, ascending.
        train: the events; those about other items are left out.

    Returns:
        The mean of each user who has any event left, float64 [users, r].
    """
    place = np.minimum(np.searchsorted(items, train.items), len(items) - 1)
    known = items[place] == train.items
    users = train.users[known]
    sums = np.zeros((len(train), components.shape[1]))
    np.add.at(sums, users, components[place[known]])
    counts = np.bincount(users, minlength=len(train))
    means: NDArray[np.float64] = sums[counts > 0] / counts[counts > 0, None]
    return means
