"""The state of one training: networks, their running average, optimiser and data; one epoch at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.checkpoint import State
from model.config import OptimisationConfig, TrainingConfig, needs_media
from model.data.batch import Batch, training_batches
from model.data.dataset import Dataset
from model.data.splits import Holdout, Split
from model.evaluation.ranking import holdout_ranks, vector_scorer
from model.methods.assembly import Sample, assemble
from model.methods.base import hide_modality
from model.modules.recommender import Recommender
from model.optimizer import load_optimizer_tensors, optimizer_tensors, parameter_groups, trained_parameters
from model.precision import Precision
from model.processes import ALONE, Group
from model.recompute import recompute_blocks
from model.schedule import learning_rate
from model.step import BatchLoss
from model.weights import copy_sharing_frozen, restore_state, trained_pairs, trained_state

ITEMS_AT_ONCE = 4_096


class TrainingStopped(Exception):
    """The caller asked the training to stop."""


class TrainingDiverged(Exception):
    """The loss is not a number any more; nothing was saved."""


class Trainer:
    """The state of one training: networks, their running average, optimiser and data.

    Args:
        dataset: what is learned from.
        config: how.
        split: the events to learn from and to be asked about.
        rankable: bool [n], the items that can be described.
        device: as torch names it.
        group: the processes that share the training, each with a trainer of its own.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainingConfig,
        split: Split,
        rankable: NDArray[np.bool_],
        *,
        device: str,
        group: Group = ALONE,
    ) -> None:
        self.config = config
        self.split = split
        self.group = group
        wanted = config.optimisation
        self._device = device
        self._rankable = rankable
        self._rng = np.random.default_rng(wanted.seed)
        assembly = assemble(config, dataset, device=device, sample=Sample(self._sample(), split.train))
        self._network, self._inputs = assembly.network, assembly.inputs
        self._average = copy_sharing_frozen(self._network).eval()
        if wanted.activation_checkpointing:
            recompute_blocks(self._network.user_encoder)
        self._optimizer = torch.optim.AdamW(parameter_groups(self._network, wanted), fused=True)
        self._precision = Precision(wanted.precision, device=device, gradient_clip=wanted.gradient_clip)
        self._loss = BatchLoss(split.train, rankable, affordable_loss(config), device=device, group=group)
        self._steps = 0
        if group.rank:
            # The weights begin alike everywhere; what is dropped out of each process's own rows shall not be.
            torch.manual_seed(wanted.seed + group.rank)

    def _sample(self) -> Tensor:
        """Returns a few thousand items that can be described."""
        items = np.flatnonzero(self._rankable)
        chosen = self._rng.choice(items, min(len(items), ITEMS_AT_ONCE), replace=False)
        return torch.from_numpy(np.sort(chosen)).to(self._device)

    def run_epoch(self, epoch: int, should_stop: Callable[[], bool]) -> float:
        """Trains one epoch and returns the mean loss of its steps."""
        wanted = self.config.optimisation
        steps = self.steps_of_epoch()
        losses = []
        for number, batches in enumerate(steps):
            if self.group.from_main(should_stop()):
                raise TrainingStopped(f"stopped in epoch {epoch + 1}")
            rate = learning_rate(wanted, epoch + (number + 1) / len(steps))
            losses.append(self.step(batches, rate))
            if not math.isfinite(losses[-1]):
                raise TrainingDiverged(f"the loss is {losses[-1]} in epoch {epoch + 1}; try a lower learning_rate")
        return float(np.mean(losses))

    @property
    def network(self) -> Recommender:
        """The network that is trained."""
        return self._network

    def steps_of_epoch(self) -> list[list[Batch]]:
        """Returns the batches of each step."""
        wanted = self.config.optimisation
        max_length = self.config.user_encoder.max_length
        batches = list(
            training_batches(self.split.train, wanted.batch_size, max_length, self._rng, windows=wanted.windows)
        )
        return [batches[start : start + wanted.accumulation] for start in range(0, len(batches), wanted.accumulation)]

    def step(self, batches: Sequence[Batch], rate: float) -> float:
        """Follows the gradient of the mean loss over the targets of some batches; returns that mean."""
        self._network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        self._optimizer.zero_grad()
        targets = sum(batch.target_count for batch in batches)
        total = torch.zeros((), device=self._device)
        for batch in batches:
            with self._precision.autocast():
                loss = self._loss(self._network, self._inputs, batch, self._rng) / targets
            if loss.requires_grad:
                self._precision.backward(loss)
            total += loss.detach()
        total = self._add_up(total)
        self._precision.step(self._optimizer)
        self._steps += 1
        self._update_average()
        return float(total)

    def _add_up(self, loss: Tensor) -> Tensor:
        """Sums gradients and loss over the processes, each of which has counted its own targets; returns the loss."""
        if self.group.count == 1:
            return loss
        parameters = trained_parameters(self._optimizer)
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        summed = self.group.add_up(torch.cat([*(one.flatten() for one in gradients), loss[None]]))
        parts = torch.split(summed[:-1], [one.numel() for one in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)
        return summed[-1]

    @torch.no_grad()
    def _update_average(self) -> None:
        """Moves the average towards the weights; it follows quickly at first, slowly later."""
        decay = min(self.config.optimisation.average_decay, self._steps / (self._steps + 9))
        means, weights = zip(*trained_pairs(self._average, self._network), strict=True)
        torch._foreach_lerp_(means, weights, 1 - decay)

    def weights(self) -> dict[str, Tensor]:
        """Returns a copy of the averaged weights, without those that are never trained."""
        return trained_state(self._average)

    def restore(self, weights: dict[str, Tensor]) -> Recommender:
        """Puts weights back and returns the network that has them."""
        restore_state(self._average, weights)
        return self._average

    def state(self) -> State:
        """Returns all that the next epoch depends on."""
        tensors = {
            **_named("network", trained_state(self._network)),
            **_named("average", trained_state(self._average)),
            **_named("optimizer", optimizer_tensors(self._optimizer)),
            "random": torch.get_rng_state(),
        }
        if self._device.startswith("cuda"):
            tensors["random_cuda"] = torch.cuda.get_rng_state(self._device)
        facts = {"steps": self._steps, "numpy": self._rng.bit_generator.state, "scaler": self._precision.state()}
        return State(tensors, facts)

    def load_state(self, state: State) -> None:
        """Goes on from a state; other processes than the first go on with random numbers of their own."""
        parts = {name: _unnamed(name, state.tensors) for name in ("network", "average", "optimizer")}
        restore_state(self._network, parts["network"])
        restore_state(self._average, parts["average"])
        load_optimizer_tensors(self._optimizer, parts["optimizer"])
        self._steps = state.facts["steps"]
        self._rng.bit_generator.state = state.facts["numpy"]
        self._precision.load_state(state.facts["scaler"])
        if self.group.rank:
            torch.manual_seed(self.config.optimisation.seed + self._steps + self.group.rank)
            return
        torch.set_rng_state(state.tensors["random"])
        if self._device.startswith("cuda") and "random_cuda" in state.tensors:
            torch.cuda.set_rng_state(state.tensors["random_cuda"], self._device)

    def rank(self, holdout: Holdout) -> NDArray[np.int64]:
        """Returns the ranks of held-out targets under the averaged weights, int64 [u]."""
        vectors, _ = self.describe_items()
        score = vector_scorer(vectors, self.encode_users, self.config.user_encoder.max_length)
        return holdout_ranks(holdout, score, self._rankable)

    @torch.no_grad()
    def describe_items(self, *, without: int | None = None) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns the vectors [n, d_e] and shares [n, m] of the whole catalogue.

        Args:
            without: the column of a modality that no item shall have; None: everything is there.
        """
        tower = self._average.describing(self._average.tower)
        chunks = torch.split(torch.arange(len(self._rankable), device=self._device), ITEMS_AT_ONCE)
        inputs = (self._inputs.gather(chunk) for chunk in chunks)
        described = [tower(*(one if without is None else hide_modality(one, without))) for one in inputs]
        vectors, shares = (torch.cat(parts).float().cpu().numpy() for parts in zip(*described, strict=True))
        return vectors, shares

    @torch.no_grad()
    def encode_users(self, sequences: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """Returns the vectors [b, d_e] of users who did `lengths` [b] of the items with vectors [b, s, d_e]."""
        parts = (torch.from_numpy(part).to(self._device) for part in (sequences, lengths))
        encoded: NDArray[np.float32] = self._average.encoding.last(*parts).float().cpu().numpy()
        return encoded


def affordable_loss(config: TrainingConfig) -> OptimisationConfig:
    """Returns the options of the loss: where candidates are encoded anew in every step, `auto` never takes them all."""
    wanted = config.optimisation
    return replace(wanted, loss="in_batch") if wanted.loss == "auto" and needs_media(config) else wanted


def _named(part: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}.{name}": tensor for name, tensor in tensors.items()}


def _unnamed(part: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name.removeprefix(f"{part}."): one for name, one in tensors.items() if name.startswith(f"{part}.")}
