"""Processes of one training that find each other through Accelerate: gloo on CPUs, NCCL on GPUs."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list, reduce
from torch import Tensor

Anything = TypeVar("Anything")
PATIENCE = timedelta(days=7)
"""So long the others wait for the first one's validation; one that dies ends them all (`worker.train_processes`)."""


class AcceleratedGroup:
    """Satisfies `model.processes.Group`; one for each process.

    Args:
        rank: of this process.
        count: of all.
        meeting: a file that is not there yet, the same for all.
        device: "cpu", or "cuda" for a GPU each.
    """

    def __init__(self, rank: int, count: int, *, meeting: Path, device: str) -> None:
        # Where Accelerate reads them from.
        numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        os.environ.update({name: str(number) for name, number in numbers.items()})
        self.rank = rank
        self.count = count
        self._state = PartialState(
            cpu=device == "cpu", init_method=meeting.as_uri(), rank=rank, world_size=count, timeout=PATIENCE
        )

    @property
    def device(self) -> str:
        """This process's device, as torch names it."""
        return str(self._state.device)

    def add_up(self, values: Tensor) -> Tensor:
        """Returns the sum of all processes' values."""
        summed: Tensor = reduce(values, "sum")
        return summed

    def from_main(self, value: Anything | None) -> Anything:
        """Returns what the first process has given."""
        told: list[Any] = broadcast_object_list([value])
        given: Anything = told[0]
        return given

    def leave(self) -> None:
        """Ends the connection."""
        self._state.destroy_process_group()
