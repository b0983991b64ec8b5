"""What a training costs: seconds of its steps, and memory above what was there before the first of them."""

from __future__ import annotations

import re
import resource
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_HIGH_WATER_MARK = "5"
_UNIT_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


class Gauge(Protocol):
    """Tells how much memory is in use, in bytes."""

    def reset(self) -> int:
        """Forgets the peak so far, and returns what is in use now."""

    def peak(self) -> int:
        """Returns the most that was in use since the last reset."""


class ProcessMemory:
    """Resident memory of this process by Linux's high-water mark."""

    def reset(self) -> int:
        """Forgets the peak so far, and returns what is in use now."""
        _CLEAR.write_text(_RESET_HIGH_WATER_MARK)
        return _status("VmRSS")

    def peak(self) -> int:
        """Returns the most that was in use since the last reset."""
        return _status("VmHWM")


class LifetimeMemory:
    """The most that this process ever had, where nothing can be reset: a peak below an earlier one is not seen."""

    def reset(self) -> int:
        """Returns the most so far."""
        return self.peak()

    def peak(self) -> int:
        """Returns the most so far."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT_OF_MAXRSS


class CudaMemory:
    """What torch has allocated on a CUDA device."""

    def __init__(self, device: str) -> None:
        self._device = device

    def reset(self) -> int:
        """Forgets the peak so far, and returns what is in use now."""
        torch.cuda.reset_peak_memory_stats(self._device)
        return torch.cuda.memory_allocated(self._device)

    def peak(self) -> int:
        """Returns the most that was in use since the last reset."""
        return torch.cuda.max_memory_allocated(self._device)


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", _STATUS.read_text())
    return int(found[1]) * 1024 if found else 0


def gauge_of(device: str) -> Gauge:
    """Returns the gauge for what trains on a device of torch."""
    if device.startswith("cuda"):
        return CudaMemory(device)
    try:
        ProcessMemory().reset()
    except OSError:
        return LifetimeMemory()
    return ProcessMemory()


class Meter:
    """Follows one training through what it asks before each step and tells after each epoch.

    The peak is that of the first epoch's steps, each looked at before the next one begins, so that no validation is in
    it. An epoch of a single step has no next one: there the validation after it is included.
    """

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._baseline: int | None = None
        self._peak = 0
        self._steps = 0
        self._epoch_began = 0.0
        self.training_seconds: list[float] = []
        self.processor_seconds: list[float] = []
        self.epoch_seconds: list[float] = []

    def before_step(self) -> bool:
        """Is asked by the training before every step; returns whether it shall stop: never."""
        if self._baseline is None:
            self._baseline = self._gauge.reset()
            self._epoch_began = time.monotonic()
        elif not self.epoch_seconds:
            self._peak = self._gauge.peak()
        self._steps += 1
        return False

    def after_epoch(self, training_seconds: float, processor_seconds: float) -> None:
        """Is told after every epoch how long its steps took, and how long all processors worked on them."""
        now = time.monotonic()
        self.training_seconds.append(training_seconds)
        self.processor_seconds.append(processor_seconds)
        self.epoch_seconds.append(now - self._epoch_began)
        self._epoch_began = now

    def document(self) -> dict[str, Any]:
        """Returns what was found; seconds per epoch are medians."""
        baseline, whole = self._baseline or 0, self._gauge.peak()
        return {
            "seconds_per_epoch": _median(self.training_seconds),
            "cpu_seconds_per_epoch": _median(self.processor_seconds),
            "seconds_per_epoch_with_validation": _median(self.epoch_seconds),
            "training_cpu_seconds": self.processor_seconds,
            "training_seconds": self.training_seconds,
            "epoch_seconds": self.epoch_seconds,
            "steps": self._steps,
            "baseline_bytes": baseline,
            "peak_bytes": max((self._peak or whole) - baseline, 0),
            "peak_bytes_with_validation": max(whole - baseline, 0),
        }


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def warm_up(device: str) -> None:
    """Takes one step of a tiny network, so that what torch loads on its first step is not a training's own cost."""
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True).to(device)
        network = nn.Sequential(layer, nn.GELU(), nn.Linear(8, 8).to(device))
        optimizer = torch.optim.AdamW(network.parameters())
        torch.autograd.backward(network(torch.zeros(4, 3, 8, device=device)).square().sum())
        optimizer.step()
