"""The paper's composite of training cost, parameters and memory (PAPER section 7)."""

from __future__ import annotations

from dataclasses import dataclass

TIME, PARAMETERS, MEMORY = 0.45, 0.1, 0.45


@dataclass(frozen=True)
class Cost:
    """What training with a method takes.

    Attributes:
        seconds: of an epoch.
        parameters: that train.
        memory_bytes: at the peak.
    """

    seconds: float
    parameters: float
    memory_bytes: float


def tpme(cost: Cost, full: Cost) -> float | None:
    """Returns 0.45 time + 0.1 parameters + 0.45 memory, each relative to full fine-tuning, whose own value is 1.

    None when full fine-tuning took none of one of them, so that nothing is relative to it.
    """
    if min(full.seconds, full.parameters, full.memory_bytes) <= 0:
        return None
    return (
        TIME * cost.seconds / full.seconds
        + PARAMETERS * cost.parameters / full.parameters
        + MEMORY * cost.memory_bytes / full.memory_bytes
    )
